package redisstore

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// AuditQuery says which entries of the audit; what is not set does not restrict.
type AuditQuery struct {
	// Tree by id, and Computer that an entry is about or whose partition its instance was in.
	Tree, Computer string
	// By and Account, exactly.
	By, Account string
	Kinds       []masterv1.AuditKind
	// Since is inclusive, Until not.
	Since, Until time.Time
	// Size of the page.
	Size int
	// After is the last entry that was looked at by the page before; empty = begin with the newest.
	After string
}

const (
	// auditLooked is how many entries one page looks at, more or less; of more computers than that it reads one entry each.
	auditLooked = 20_000
	// auditChunk is how many entries of one stream are read at once: few of many streams, more of one that is read on.
	auditChunk, auditFirst = 500, 20
)

// Audit reads entries, newest first, and names the last one that it looked at when older ones are left. Errors: *StateError (After is no id of an entry),
// *UnavailableError.
func (s *Store) Audit(ctx context.Context, q AuditQuery) (entries []*masterv1.AuditEntry, next string, err error) {
	after, err := parseAudit(q.After)
	if err != nil {
		return nil, "", err
	}
	streams, err := s.auditStreams(ctx, q)
	if err != nil {
		return nil, "", err
	}
	since := time.Now().Add(-s.limits.AuditAge)
	if q.Since.After(since) {
		since = q.Since
	}
	all := make(auditCursors, 0, len(streams))
	for _, stream := range streams {
		c := &auditCursor{stream: stream, from: auditID{ms: math.MaxInt64}, chunk: max(1, min(auditFirst, int64(auditLooked/len(streams))))}
		if len(streams) == 1 {
			c.chunk = auditChunk
		}
		if !q.Until.IsZero() {
			c.from = auditID{ms: q.Until.UnixMilli()}.before()
		}
		if bound := after.under(stream); q.After != "" && bound.compare(c.from) < 0 {
			c.from = bound
		}
		all = append(all, c)
	}
	if err := s.readAudit(ctx, all, since); err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, (*auditCursor).empty)
	heap.Init(&all)
	for looked := 0; len(all) > 0; looked++ {
		if len(entries) == q.Size || looked >= auditLooked {
			return entries, next, nil
		}
		c := all[0]
		read := c.buffer[0]
		c.buffer = c.buffer[1:]
		next = read.GetAuditId()
		if q.wants(read) {
			entries = append(entries, read)
		}
		if len(c.buffer) == 0 && !c.ended {
			c.chunk = auditChunk
			if err := s.readAudit(ctx, []*auditCursor{c}, since); err != nil {
				return nil, "", err
			}
		}
		if c.empty() {
			heap.Pop(&all)
		} else {
			heap.Fix(&all, 0)
		}
	}
	return entries, "", nil
}

func (q *AuditQuery) wants(e *masterv1.AuditEntry) bool {
	return (q.Tree == "" || e.GetTreeId() == q.Tree) && (q.Computer == "" || e.GetComputer() == q.Computer) && (q.By == "" || e.GetBy() == q.By) &&
		(q.Account == "" || e.GetAccount() == q.Account) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.GetKind()))
}

// auditStreams are the streams that may hold what is asked for.
func (s *Store) auditStreams(ctx context.Context, q AuditQuery) ([]string, error) {
	if q.Tree != "" {
		return []string{keysOfTree(q.Tree).audit}, nil
	}
	var streams []string
	for shard := range Shards {
		streams = append(streams, keysOfShard(shard).audit)
	}
	if q.Computer != "" {
		return append(streams, computerAudit(q.Computer)), nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	names, err := s.client.SMembers(ctx, auditedKey).Result()
	if err != nil {
		return nil, &UnavailableError{"cannot list the audit", err}
	}
	for _, name := range names {
		streams = append(streams, computerAudit(name))
	}
	return streams, nil
}

// readAudit reads the next chunk of each cursor in one round trip.
func (s *Store) readAudit(ctx context.Context, cursors []*auditCursor, since time.Time) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	pipe := s.client.Pipeline()
	read := make([]*redis.XMessageSliceCmd, len(cursors))
	for i, c := range cursors {
		read[i] = pipe.XRevRangeN(ctx, c.stream, c.from.String(), strconv.FormatInt(since.UnixMilli(), 10), c.chunk)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return &UnavailableError{"cannot list the audit", err}
	}
	for i, c := range cursors {
		if err := c.take(read[i].Val()); err != nil {
			return err
		}
	}
	return nil
}

// auditCursor goes through one stream, from the newest entry to the oldest.
type auditCursor struct {
	stream string
	from   auditID // the newest one that is not read yet may have this id
	chunk  int64
	buffer []*masterv1.AuditEntry
	ended  bool
}

func (c *auditCursor) empty() bool { return len(c.buffer) == 0 }

func (c *auditCursor) take(messages []redis.XMessage) error {
	c.ended = int64(len(messages)) < c.chunk
	for _, m := range messages {
		at, err := parseAudit(m.ID + "@" + c.stream)
		if err != nil {
			return err
		}
		value, _ := m.Values["a"].(string)
		r := &storev1.AuditRecord{}
		if err := decode(value, r); err != nil {
			return fmt.Errorf("cannot decode entry %s of %q: %w", m.ID, c.stream, err)
		}
		e := r.GetEntry()
		if e == nil {
			e = &masterv1.AuditEntry{}
		}
		e.AuditId, e.At = m.ID+"@"+c.stream, timestamppb.New(time.UnixMilli(at.ms))
		c.buffer = append(c.buffer, e)
		c.from = at.before()
	}
	return nil
}

// auditID orders entries: by time, number in its millisecond, and stream.
type auditID struct {
	ms, n  int64
	stream string
}

func parseAudit(id string) (auditID, error) {
	if id == "" {
		return auditID{}, nil
	}
	numbers, stream, _ := strings.Cut(id, "@")
	ms, n, ok := strings.Cut(numbers, "-")
	var out auditID
	var errMs, errN error
	out.ms, errMs = strconv.ParseInt(ms, 10, 64)
	out.n, errN = strconv.ParseInt(n, 10, 64)
	out.stream = stream
	if !ok || errMs != nil || errN != nil || out.ms < 0 || out.n < 0 {
		return auditID{}, &StateError{fmt.Sprintf("cannot list the audit after %q: it names no entry", id)}
	}
	return out, nil
}

func (a auditID) String() string {
	if a.ms == math.MaxInt64 {
		return "+"
	}
	return fmt.Sprintf("%d-%d", a.ms, a.n)
}

// before is the greatest id of the same stream that is less.
func (a auditID) before() auditID {
	if a.n > 0 {
		return auditID{ms: a.ms, n: a.n - 1}
	}
	return auditID{ms: max(a.ms-1, 0), n: math.MaxInt64}
}

// under is the greatest id that an entry of a stream may have that comes after a in the order of lists.
func (a auditID) under(stream string) auditID {
	if stream > a.stream {
		return auditID{ms: a.ms, n: a.n}
	}
	return a.before()
}

func (a auditID) compare(o auditID) int {
	return cmp.Or(cmp.Compare(a.ms, o.ms), cmp.Compare(a.n, o.n))
}

// auditCursors is a heap: the cursor with the newest entry comes first, ties by stream.
type auditCursors []*auditCursor

func (h auditCursors) Len() int { return len(h) }

func (h auditCursors) Less(i, j int) bool {
	a, _ := parseAudit(h[i].buffer[0].GetAuditId())
	b, _ := parseAudit(h[j].buffer[0].GetAuditId())
	if c := a.compare(b); c != 0 {
		return c > 0
	}
	return a.stream < b.stream
}

func (h auditCursors) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *auditCursors) Push(x any) {
	if c, ok := x.(*auditCursor); ok {
		*h = append(*h, c)
	}
}

func (h *auditCursors) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
