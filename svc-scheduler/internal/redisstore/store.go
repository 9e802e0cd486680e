package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// MaxItems bounds what one script writes: longer scripts make everyone else wait.
const MaxItems = 500

// ErrFenced says that a newer session owns the agenda.
var ErrFenced = errors.New("cannot save the agenda: a newer stream of the computer owns it")

const (
	sessionField = "#session"
	headField    = "#head"
	// computersKey is read by lists only, and written once per computer and stream: no hot path goes over it.
	computersKey = "{agendas}computers"
)

//go:embed script/open.lua
var openLua string

//go:embed script/save.lua
var saveLua string

// Store keeps agendas.
type Store struct {
	redis      *store.Store
	open, save *store.Script
}

// New makes a store on a connection that the caller owns.
func New(redis *store.Store) *Store {
	return &Store{redis: redis, open: store.NewScript("open.lua", openLua), save: store.NewScript("save.lua", saveLua)}
}

// Head is what is kept of a computer beside its entries.
type Head struct {
	BootID    string
	Slots     int
	Pause     agenda.Paused
	Connected bool
}

// Stored is what is kept of a computer.
type Stored struct {
	// Session that owns it; 0 = there was no stream ever.
	Session uint64
	// Now is the server's time when it was read.
	Now     time.Time
	Head    Head
	Entries []*agenda.Entry
	// Broken names partitions whose records could not be read and are left out: svc-master's truth makes them anew.
	Broken []string
}

// Agenda makes the aggregate.
func (s Stored) Agenda(computer string) *agenda.Agenda {
	a := agenda.New(computer, s.Entries...)
	a.Session, a.BootID, a.Slots = s.Session, s.Head.BootID, max(s.Head.Slots, 1)
	a.Pause = s.Head.Pause
	return a
}

// HeadOf is the head of an aggregate.
func HeadOf(a *agenda.Agenda) Head {
	return Head{BootID: a.BootID, Slots: a.Slots, Pause: a.Pause, Connected: a.Connected}
}

func key(computer string) string { return "{c:" + computer + "}agenda" }

// Open raises the session of a computer and returns what is stored.
func (s *Store) Open(ctx context.Context, computer string) (Stored, error) {
	reply, err := s.redis.Run(ctx, s.open, []string{key(computer)}).Slice()
	if err != nil {
		return Stored{}, fmt.Errorf("cannot open the agenda of %s: %w", computer, err)
	}
	if len(reply) != 4 {
		return Stored{}, fmt.Errorf("cannot open the agenda of %s: the script answered %d values", computer, len(reply))
	}
	seconds, microseconds := number(reply[1]), number(reply[2])
	flat, _ := reply[3].([]any)
	fields := make(map[string]string, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		name, _ := flat[i].(string)
		fields[name], _ = flat[i+1].(string)
	}
	stored := decode(fields)
	stored.Session = uint64(number(reply[0]))
	stored.Now = time.Unix(seconds, microseconds*1000)
	if err := s.redis.Redis().SAdd(ctx, computersKey, computer).Err(); err != nil {
		return Stored{}, fmt.Errorf("cannot list the computer %s: %w", computer, err)
	}
	return stored, nil
}

func number(v any) int64 {
	text, _ := v.(string)
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// Load returns what is stored, without taking it over; Session 0 when there is nothing.
func (s *Store) Load(ctx context.Context, computer string) (Stored, error) {
	fields, err := s.redis.Redis().HGetAll(ctx, key(computer)).Result()
	if err != nil {
		return Stored{}, fmt.Errorf("cannot load the agenda of %s: %w", computer, err)
	}
	stored := decode(fields)
	session, _ := strconv.ParseUint(fields[sessionField], 10, 64)
	stored.Session = session
	return stored, nil
}

// Save writes entries, removes partitions and, if it is not nil, replaces the head, all under a session; ErrFenced when a newer one
// owns the agenda. Nothing to write only asks whether the session is current. More than MaxItems are written by several scripts:
// entries do not depend on each other.
func (s *Store) Save(ctx context.Context, computer string, session uint64, head *Head, entries []*agenda.Entry, removed []string) error {
	changes := make([]any, 0, 2*len(entries)+2)
	if head != nil {
		value, err := encodeHead(*head)
		if err != nil {
			return fmt.Errorf("cannot save the agenda of %s: %w", computer, err)
		}
		changes = append(changes, headField, value)
	}
	for _, e := range entries {
		value, err := encodeEntry(e)
		if err != nil {
			return fmt.Errorf("cannot save the agenda of %s/%s: %w", computer, e.Partition, err)
		}
		changes = append(changes, e.Partition, value)
	}
	for first := true; first || len(changes) > 0 || len(removed) > 0; first = false {
		write := changes[:min(len(changes), 2*MaxItems)]
		remove := removed[:min(len(removed), MaxItems-len(write)/2)]
		changes, removed = changes[len(write):], removed[len(remove):]
		argv := make([]any, 0, 2+len(write)+len(remove))
		argv = append(argv, strconv.FormatUint(session, 10), len(write)/2)
		argv = append(argv, write...)
		for _, partition := range remove {
			argv = append(argv, partition)
		}
		written, err := s.redis.RunJoined(ctx, s.save, []string{key(computer)}, argv...).Int()
		if err != nil {
			return fmt.Errorf("cannot save the agenda of %s: %w", computer, err)
		}
		if written == 0 {
			return ErrFenced
		}
	}
	return nil
}

// Computers lists all that ever had a stream, sorted.
func (s *Store) Computers(ctx context.Context) ([]string, error) {
	names, err := s.redis.Redis().SMembers(ctx, computersKey).Result()
	if err != nil {
		return nil, fmt.Errorf("cannot list the computers: %w", err)
	}
	slices.Sort(names)
	return names, nil
}
