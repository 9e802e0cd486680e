package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/svc-promise/internal/history"
)

// Limits.
const (
	// MaxPromises of one allocation, as windows have.
	MaxPromises = 1000
	// Retention is how long the history of an allocation outlives its last group: long enough to ask what happened to what was destroyed.
	Retention = 32 * 24 * time.Hour
	// MaxCrimes that a list reads.
	MaxCrimes = 10_000
	// CrimeForgotten is how long after its last group a promise's crimes are shown.
	CrimeForgotten = 25 * time.Hour
	// crimeShards spread the crimes: they are written with every group of a criminal.
	crimeShards = 16
)

//go:embed script/save.lua
var saveLua string

//go:embed script/mute.lua
var muteLua string

// Store keeps history and mutes.
type Store struct {
	redis      *store.Store
	save, mute *store.Script
}

// New makes a store on a connection that the caller owns.
func New(redis *store.Store) *Store {
	return &Store{redis: redis, save: store.NewScript("save.lua", saveLua), mute: store.NewScript("mute.lua", muteLua)}
}

// Key names a promise.
type Key struct{ Allocation, Promise string }

func (k Key) hash() string              { return "{a:" + k.Allocation + "}h:" + k.Promise }
func promises(allocation string) string { return "{a:" + allocation + "}promises" }
func (k Key) member() string            { return k.Allocation + "/" + k.Promise }

func (k Key) crimes() string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.Allocation)) // never fails
	return crimesOf(int(h.Sum32() % crimeShards))
}

func crimesOf(shard int) string { return fmt.Sprintf("{p%02d}crimes", shard) }

// Promise is a promise as it was read.
type Promise struct {
	Key
	*history.Stored
	version string
}

// Wanted is what to read of a promise.
type Wanted struct {
	Key
	Fields []history.Field
}

// Load reads the record and some buckets of promises, in one round trip to each server.
func (s *Store) Load(ctx context.Context, wanted []Wanted) ([]*Promise, error) {
	pipe := s.redis.Redis().Pipeline()
	commands := make([]*redis.SliceCmd, len(wanted))
	for i, w := range wanted {
		names := make([]string, 0, 2+len(w.Fields))
		names = append(names, "v", "s")
		for _, f := range w.Fields {
			names = append(names, f.String())
		}
		commands[i] = pipe.HMGet(ctx, w.hash(), names...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("cannot read the history of %d promises: %w", len(wanted), err)
	}
	loaded := make([]*Promise, len(wanted))
	for i, w := range wanted {
		values, fields := commands[i].Val(), map[string]string{}
		text := func(n int) string { v, _ := values[n].(string); return v }
		for n, f := range w.Fields {
			fields[f.String()] = text(2 + n)
		}
		fields["s"] = text(1)
		p, err := decode(w.Key, text(0), fields)
		if err != nil {
			return nil, err
		}
		loaded[i] = p
	}
	return loaded, nil
}

// decode reads the fields of a promise.
func decode(key Key, version string, fields map[string]string) (*Promise, error) {
	p := &Promise{Key: key, Stored: history.New(), version: version}
	for name, value := range fields {
		if value == "" {
			continue
		}
		var into proto.Message = p.Record
		if name != "s" {
			f, ok := history.ParseField(name)
			if !ok {
				continue // of a newer version
			}
			if f.Level == history.Raw {
				p.Hours[f] = &storev1.PromiseHour{}
				into = p.Hours[f]
			} else {
				p.Buckets[f] = &storev1.PromiseBucket{}
				into = p.Buckets[f]
			}
		}
		if err := proto.Unmarshal([]byte(value), into); err != nil {
			return nil, fmt.Errorf("cannot read %s of promise %s: %w", name, key.member(), err)
		}
	}
	return p, nil
}

// Write is a promise to write, with what changed of it. Crimes says whether it commits any, Criminal whether it did when it was read.
type Write struct {
	*Promise
	history.Changed
	Criminal bool
}

// Save writes promises; saved says of each whether nobody else wrote in between.
func (s *Store) Save(ctx context.Context, writes []Write) (saved []bool, err error) {
	calls := make([]store.Call, len(writes))
	for i, w := range writes {
		if calls[i], err = s.call(w); err != nil {
			return nil, err
		}
	}
	answers := s.redis.RunAll(ctx, calls)
	saved = make([]bool, len(writes))
	var errs []error
	pipe := s.redis.Redis().Pipeline()
	for i, a := range answers {
		n, err := a.Int()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		saved[i] = n == 1
		w := writes[i]
		switch crimes := len(history.Crimes(w.Record)) > 0; {
		case !saved[i]:
		case crimes:
			pipe.ZAdd(ctx, w.crimes(), redis.Z{Score: float64(w.Record.GetAt().AsTime().UnixMilli()), Member: w.member()})
		case w.Criminal:
			pipe.ZRem(ctx, w.crimes(), w.member())
		}
	}
	if pipe.Len() > 0 {
		_, err := pipe.Exec(ctx)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return saved, fmt.Errorf("cannot write the history of %d promises: %w", len(writes), err)
	}
	return saved, nil
}

func (s *Store) call(w Write) (store.Call, error) {
	version, _ := strconv.ParseUint(w.version, 10, 64)
	args := []any{
		w.version, strconv.FormatUint(version+1, 10), w.Key.Promise, strconv.FormatInt(w.Record.GetAt().AsTime().UnixMilli(), 10),
		strconv.FormatInt(Retention.Milliseconds(), 10), strconv.Itoa(MaxPromises), strconv.Itoa(1 + len(w.Written)),
	}
	add := func(name string, m proto.Message) error {
		value, err := proto.Marshal(m)
		if err != nil {
			return fmt.Errorf("cannot write %s of promise %s: %w", name, w.member(), err)
		}
		args = append(args, name, value)
		return nil
	}
	err := add("s", w.Record)
	for _, f := range w.Written {
		if f.Level == history.Raw {
			err = errors.Join(err, add(f.String(), w.Hours[f]))
		} else {
			err = errors.Join(err, add(f.String(), w.Buckets[f]))
		}
	}
	for _, f := range w.Removed {
		args = append(args, f.String())
	}
	return store.Call{Script: s.save, Keys: []string{w.hash(), promises(w.Allocation)}, Args: args}, err
}

// History reads everything of one promise; nil when there is nothing.
func (s *Store) History(ctx context.Context, key Key) (*Promise, error) {
	fields, err := s.redis.Redis().HGetAll(ctx, key.hash()).Result()
	if err != nil {
		return nil, fmt.Errorf("cannot read the history of promise %q: %w", key.Promise, err)
	}
	if len(fields) == 0 {
		return nil, nil
	}
	return decode(key, fields["v"], fields)
}

// Promises reads the records of an allocation's promises that were sensed since a time.
func (s *Store) Promises(ctx context.Context, allocation string, since time.Time) ([]*Promise, error) {
	names, err := s.redis.Redis().ZRangeByScore(ctx, promises(allocation), &redis.ZRangeBy{
		Min: strconv.FormatInt(since.UnixMilli(), 10), Max: "+inf", Count: MaxPromises,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("cannot list the promises of %s: %w", allocation, err)
	}
	wanted := make([]Wanted, len(names))
	for i, name := range names {
		wanted[i] = Wanted{Key: Key{allocation, name}}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	return s.Load(ctx, wanted)
}
