package redisstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// Computer is a registered machine as it is stored.
type Computer struct {
	// Name is what it was registered as.
	Name string
	// Version counts its changes, from 1; contacts do not count.
	Version uint64
	// Record is what was registered.
	Record *storev1.ComputerRecord
	// Slots are its partitions, by name.
	Slots map[string]*storev1.SlotRecord
	// Reservations are the partitions that are held, by name.
	Reservations map[string]*storev1.ReservationRecord
	// Software is what is supplied, by URL.
	Software map[string]*storev1.SoftwareRecord
	// Contact is when bytes were last read on a connection of it; zero = never.
	Contact time.Time
	// audit are the entries to write with the change that is being decided.
	audit auditing
	// unannounced says that watchers need not look at the change.
	unannounced bool
}

// Unannounced says of the change that is being decided that no watcher has to look at it.
func (c *Computer) Unannounced() { c.unannounced = true }

// Audit tells the change that is being decided, for the record of who did what. Nothing is written of a change that writes nothing.
func (c *Computer) Audit(by Actor, e *masterv1.AuditEntry) { c.audit.computer(by, c.Name, e) }

// Registered tells whether it is: neither unknown nor decommissioned.
func (c *Computer) Registered() bool { return c.Version > 0 && c.Record.GetDecommissionedAt() == nil }

// Partitions lists the names of the partitions, slappart2 before slappart10.
func (c *Computer) Partitions() []string {
	return slices.SortedFunc(maps.Keys(c.Slots), naturally)
}

// Reserved finds the partition that an instance holds; "" = none.
func (c *Computer) Reserved(instanceID string) string {
	for partition, r := range c.Reservations {
		if r.GetInstanceId() == instanceID {
			return partition
		}
	}
	return ""
}

// Trees lists the ids of the trees that hold partitions, sorted.
func (c *Computer) Trees() []string {
	set := map[string]bool{}
	for _, r := range c.Reservations {
		set[TreeOf(r.GetInstanceId())] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// naturally compares names with the numbers at their ends as numbers.
func naturally(a, b string) int {
	prefixA, numberA := trailingNumber(a)
	prefixB, numberB := trailingNumber(b)
	if prefixA == prefixB && numberA != numberB {
		if numberA < numberB {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

func trailingNumber(name string) (prefix string, number uint64) {
	prefix = strings.TrimRight(name, "0123456789")
	number, _ = strconv.ParseUint(name[len(prefix):], 10, 64)
	return prefix, number
}

// Field prefixes of a computer's hash.
const (
	fieldComputer    = "computer"
	fieldContact     = "contact"
	fieldSlot        = "p:"
	fieldReservation = "r:"
	fieldSoftware    = "s:"
)

// Computer reads one computer. Errors: *NotFoundError, *UnavailableError.
func (s *Store) Computer(ctx context.Context, name string) (*Computer, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	fields, err := s.client.HGetAll(ctx, computerKey(name)).Result()
	if err != nil {
		return nil, &UnavailableError{fmt.Sprintf("cannot read computer %q", name), err}
	}
	c, err := s.decodeComputer(name, fields)
	if err == nil && !c.Registered() {
		return nil, &NotFoundError{"computer", name}
	}
	return c, err
}

// Computers reads several computers at once, in the order of their names; those that are not registered are left out.
func (s *Store) Computers(ctx context.Context, names []string) ([]*Computer, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	read := make([]*redis.MapStringStringCmd, len(names))
	for i, name := range names {
		read[i] = pipe.HGetAll(ctx, computerKey(name))
	}
	if len(names) > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, &UnavailableError{"cannot read computers", err}
		}
	}
	var out []*Computer
	for i, name := range names {
		c, err := s.decodeComputer(name, read[i].Val())
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.Registered() {
			out = append(out, c)
		}
	}
	return out, nil
}

// ComputerNames lists the names of all computers, sorted. A computer whose registration was cut short may be named.
func (s *Store) ComputerNames(ctx context.Context) ([]string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	names, err := s.client.SMembers(ctx, computersKey).Result()
	if err != nil {
		return nil, &UnavailableError{"cannot list computers", err}
	}
	slices.Sort(names)
	return names, nil
}

// CountComputers is how many computers have a name, registered or cut short.
func (s *Store) CountComputers(ctx context.Context) (int64, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n, err := s.client.SCard(ctx, computersKey).Result()
	if err != nil {
		return 0, &UnavailableError{"cannot count computers", err}
	}
	return n, nil
}

// ChangeComputer lets decide change a computer and stores what it changed, whole or not at all. decide gets the stored
// computer, an empty one of version 0 when none is registered, or what is left of one that was decommissioned; it may be called several times, and must decide the
// same again when its change is already made. Its error is returned as it is and nothing is stored.
func (s *Store) ChangeComputer(ctx context.Context, name string, decide func(c *Computer) error) (*Computer, error) {
	const attempts = 16 // conflicts in a row mean that others make progress; this many mean that something is wrong
	for range attempts {
		c, err := s.tryChangeComputer(ctx, name, decide)
		if c != nil || err != nil {
			return c, err
		}
	}
	return nil, &UnavailableError{What: fmt.Sprintf("cannot change computer %q: it changes too often", name)}
}

func (s *Store) tryChangeComputer(ctx context.Context, name string, decide func(c *Computer) error) (*Computer, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	before, err := s.client.HGetAll(ctx, computerKey(name)).Result()
	if err != nil {
		return nil, &UnavailableError{fmt.Sprintf("cannot read computer %q", name), err}
	}
	c, err := s.decodeComputer(name, before)
	if isNotFound(err) {
		c, err = &Computer{
			Name: name, Slots: map[string]*storev1.SlotRecord{},
			Reservations: map[string]*storev1.ReservationRecord{}, Software: map[string]*storev1.SoftwareRecord{},
		}, nil
	}
	if err != nil {
		return nil, err
	}
	known := c.Registered()
	if err := decide(c); err != nil {
		return nil, err
	}
	set, del, err := c.difference(before)
	if err != nil {
		return nil, err
	}
	if len(set) == 0 && len(del) == 0 {
		return c, nil
	}
	if !known {
		// Named first, registered second: a list skips a name without a computer, but would miss a computer without a name.
		if err := s.client.SAdd(ctx, computersKey, name).Err(); err != nil {
			return nil, &UnavailableError{fmt.Sprintf("cannot register computer %q", name), err}
		}
	}
	audited, err := c.audit.encode()
	if err != nil {
		return nil, err
	}
	if len(audited) > 0 {
		// Named first too: a list skips a name without entries.
		if err := s.client.SAdd(ctx, auditedKey, name).Err(); err != nil {
			return nil, &UnavailableError{fmt.Sprintf("cannot change computer %q", name), err}
		}
	}
	args := appendList(appendList(appendList([]any{c.Version}, set), del), audited)
	args = append(args, s.limits.AuditComputer, s.limits.auditSince())
	version, err := s.redis.Run(ctx, s.scripts.swap, []string{computerKey(name), computerAudit(name)}, args...).Int64()
	if err != nil {
		return nil, &UnavailableError{fmt.Sprintf("cannot change computer %q", name), err}
	}
	if version < 0 {
		return nil, nil
	}
	c.Version = uint64(version)
	if !c.Registered() {
		// Forgotten first, unnamed second: a name without a computer is skipped by every list.
		if err := s.client.SRem(ctx, computersKey, name).Err(); err != nil {
			return nil, &UnavailableError{fmt.Sprintf("cannot forget computer %q", name), err}
		}
	}
	if !c.unannounced {
		s.ComputerChanged(ctx, name)
	}
	return c, nil
}

// ComputerChanged hints to watchers, here and in other processes, that a computer, or what is allocated on it, changed.
func (s *Store) ComputerChanged(ctx context.Context, name string) {
	s.computersChanged(ctx, []string{name})
}

// computersChanged hints of several in one pipeline. After a silence of the fleet each of its computers is one: a round trip with its fsync for each held up
// the first flush of contacts of 10,000 computers for three seconds, where writing them takes a third of one.
func (s *Store) computersChanged(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	pipe := s.client.Pipeline()
	for _, name := range names {
		s.hub.computerChanged(name)
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: computersFeed, MaxLen: 1000, Approx: true, Values: []any{"c", name}})
	}
	_, _ = pipe.Exec(ctx) // a lost hint is made good by the watchers' slow round
	s.written.tell(computersFeed)
}

// fields encodes a computer, without version and contact.
func (c *Computer) fields() (map[string]string, error) {
	out := make(map[string]string, 1+len(c.Slots)+len(c.Reservations)+len(c.Software))
	put := func(field string, m proto.Message) error {
		b, err := encode(m)
		out[field] = string(b)
		return err
	}
	if c.Record != nil {
		if err := put(fieldComputer, c.Record); err != nil {
			return nil, err
		}
	}
	for name, r := range c.Slots {
		if err := put(fieldSlot+name, r); err != nil {
			return nil, err
		}
	}
	for name, r := range c.Reservations {
		if err := put(fieldReservation+name, r); err != nil {
			return nil, err
		}
	}
	for url, r := range c.Software {
		if err := put(fieldSoftware+url, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// difference lists the fields to set, with values, and to delete.
func (c *Computer) difference(before map[string]string) (set, del []any, err error) {
	after, err := c.fields()
	if err != nil {
		return nil, nil, err
	}
	for _, field := range slices.Sorted(maps.Keys(after)) {
		if old, ok := before[field]; !ok || old != after[field] {
			set = append(set, field, after[field])
		}
	}
	for _, field := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[field]; !ok && field != fieldVersion && field != fieldContact {
			del = append(del, field)
		}
	}
	return set, del, nil
}

func (s *Store) decodeComputer(name string, fields map[string]string) (*Computer, error) {
	if fields[fieldVersion] == "" {
		return nil, &NotFoundError{"computer", name}
	}
	c := &Computer{
		Name: name, Record: &storev1.ComputerRecord{}, Slots: map[string]*storev1.SlotRecord{},
		Reservations: map[string]*storev1.ReservationRecord{}, Software: map[string]*storev1.SoftwareRecord{},
	}
	for field, value := range fields {
		var err error
		switch {
		case field == fieldVersion:
			c.Version, err = strconv.ParseUint(value, 10, 64)
		case field == fieldContact:
			var micro int64
			micro, err = strconv.ParseInt(value, 10, 64)
			c.Contact = time.UnixMicro(micro).UTC()
		case field == fieldComputer:
			err = decode(value, c.Record)
		case strings.HasPrefix(field, fieldSlot):
			r := &storev1.SlotRecord{}
			err = decode(value, r)
			c.Slots[field[len(fieldSlot):]] = r
		case strings.HasPrefix(field, fieldReservation):
			r := &storev1.ReservationRecord{}
			err = decode(value, r)
			c.Reservations[field[len(fieldReservation):]] = r
		case strings.HasPrefix(field, fieldSoftware):
			r := &storev1.SoftwareRecord{}
			err = decode(value, r)
			c.Software[field[len(fieldSoftware):]] = r
		}
		if err != nil {
			return nil, fmt.Errorf("cannot decode field %q of computer %q: %w", field, name, err)
		}
	}
	if pending := s.contacts.pending(name); pending.After(c.Contact) {
		c.Contact = pending
	}
	return c, nil
}
