package redisstore

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
)

// Fields of a tree's hash.
const (
	fieldTree        = "tree"
	fieldInstance    = "i:"
	fieldPartition   = "p:"
	fieldHosted      = "h:" // and the whole id of the shared instance, which may be of another tree
	fieldConvergence = "conv"
	fieldMoment      = "m:"
)

// writes is what one batch of decisions puts into the store.
type writes struct {
	treeID    string
	limits    Limits
	decisions []decision

	changed    fleet.Changed
	settlement fleet.Settlement
	feed       []fleet.FeedEntry
	bangs      []*fleet.BangRecord
	closed     []*fleet.Convergence
	satisfied  []*storev1.SatisfiedRecord
	position   uint64 // sequence of the first feed entry, once committed
	audit      auditing

	// By key, in the order of the script: tree, bangs, convergences.
	set, del [3][]any
	// unsettled, unallocated.
	add, remove [2][]any
	entries     []any
	audited     []any
}

func newWrites(treeID string, at *aggregate, limits Limits) *writes {
	return &writes{treeID: treeID, limits: limits, satisfied: at.satisfied}
}

// maxSatisfied is how many ranges of satisfied bangs a tree remembers: one per satisfied group, and several groups in one when there are more.
const maxSatisfied = 128

// bounded is a copy with room for one more. The oldest two ranges with no bang between them become one, satisfied when the later was: so that it stays known of each recorded bang that it was
// satisfied, and of the newest exactly when. What is between two others may have been withheld or abandoned; when all are so, the oldest is forgotten.
func bounded(satisfied []*storev1.SatisfiedRecord) []*storev1.SatisfiedRecord {
	known := slices.Clone(satisfied)
	if len(known) < maxSatisfied {
		return known
	}
	for i, later := range known[1:] {
		if before := known[i]; before.GetLast()+1 == later.GetFirst() {
			known[i+1] = &storev1.SatisfiedRecord{First: before.GetFirst(), Last: later.GetLast(), At: later.GetAt()}
			return slices.Delete(known, i, i+1)
		}
	}
	return known[1:]
}

// merge adds the effects of the next event.
func (w *writes) merge(e *fleet.Effects, now time.Time) {
	for _, g := range e.Satisfied {
		if first, last := satisfiedRange(g); last > 0 {
			w.satisfied = append(bounded(w.satisfied), &storev1.SatisfiedRecord{First: first, Last: last, At: wellknown.Timestamp(now)})
			w.changed.Header = true
		}
	}
	w.changed.Merge(e.Changed)
	if e.Settlement != fleet.SettlementKept {
		w.settlement = e.Settlement
	}
	w.feed = append(w.feed, e.Feed...)
	if e.Bang != nil {
		w.bangs = append(w.bangs, e.Bang)
	}
	if e.Closed != nil {
		w.closed = append(w.closed, e.Closed)
	}
}

// empty tells whether there is nothing to write.
func (w *writes) empty() bool {
	return w.changed.None() && len(w.feed) == 0 && len(w.bangs) == 0 && len(w.audit) == 0
}

// finish encodes what changed, as the tree is after the last event.
func (w *writes) finish(t *fleet.Tree) error {
	if w.empty() {
		return nil
	}
	for _, step := range []func(*fleet.Tree) error{w.encodeTree, w.encodeConvergence, w.encodeRecords, w.encodeFeed, w.encodeAudit} {
		if err := step(t); err != nil {
			return err
		}
	}
	w.encodeSets(t)
	return nil
}

func (w *writes) put(key int, field string, m proto.Message) error {
	value, err := encode(m)
	if err != nil {
		return err
	}
	w.set[key] = append(w.set[key], field, value)
	return nil
}

func (w *writes) drop(key int, field string) { w.del[key] = append(w.del[key], field) }

// Keys that writes sets fields of.
const (
	keyTree = iota
	keyBangs
	keyConvergences
)

func (w *writes) encodeTree(t *fleet.Tree) error {
	if w.changed.Header {
		if err := w.put(keyTree, fieldTree, headerRecord(t, w.satisfied)); err != nil {
			return err
		}
	}
	for _, id := range w.changed.Instances {
		field := fieldInstance + numberOf(id)
		if i, ok := t.Instances[id]; !ok {
			w.drop(keyTree, field)
		} else if err := w.put(keyTree, field, instanceRecord(i)); err != nil {
			return err
		}
	}
	for _, id := range w.changed.Partitions {
		field := fieldPartition + numberOf(id)
		if p, ok := t.Partitions[id]; !ok {
			w.drop(keyTree, field)
		} else if err := w.put(keyTree, field, partitionRecord(p)); err != nil {
			return err
		}
	}
	for _, id := range w.changed.Hosted {
		if h, ok := t.Hosted[id]; !ok {
			w.drop(keyTree, fieldHosted+id)
		} else if err := w.put(keyTree, fieldHosted+id, hostedRecord(h)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writes) encodeConvergence(t *fleet.Tree) error {
	moments := 0
	if c := t.Convergence; c != nil {
		moments = len(c.Timeline)
		if w.changed.Convergence { // the moments are fields of their own: a run adds three or four of them, and changes nothing else of it
			if err := w.put(keyTree, fieldConvergence, convergenceRecord(c)); err != nil {
				return err
			}
		}
		from := len(c.Timeline)
		if w.changed.Timeline {
			from = w.changed.TimelineFrom
		}
		if len(w.closed) > 0 {
			from = 0 // opened after another one closed in this batch
		}
		for n := from; n < moments; n++ {
			if err := w.put(keyTree, fieldMoment+strconv.Itoa(n), momentRecord(&c.Timeline[n])); err != nil {
				return err
			}
		}
	} else if w.changed.Convergence {
		w.drop(keyTree, fieldConvergence)
	}
	stale := 0
	for _, c := range w.closed {
		stale = max(stale, len(c.Timeline))
	}
	for n := moments; n < stale; n++ {
		w.drop(keyTree, fieldMoment+strconv.Itoa(n))
	}
	return nil
}

// encodeRecords adds bangs and ended convergences; each new one drops the one that falls out of the bound. What a new epoch leaves behind its gap the
// script drops.
func (w *writes) encodeRecords(*fleet.Tree) error {
	for _, b := range w.bangs {
		if err := w.put(keyBangs, strconv.FormatUint(b.Number, 10), bangRecord(b)); err != nil {
			return err
		}
		if bound := uint64(w.limits.Bangs); b.Number > bound {
			w.drop(keyBangs, strconv.FormatUint(b.Number-bound, 10))
		}
	}
	for _, c := range w.closed {
		if err := w.put(keyConvergences, strconv.FormatUint(c.Number, 10), archiveRecord(c)); err != nil {
			return err
		}
		if bound := uint64(maxConvergences); c.Number > bound {
			w.drop(keyConvergences, strconv.FormatUint(c.Number-bound, 10))
		}
	}
	return nil
}

// encodeFeed names each entry by how many come after it in its item of the stream.
func (w *writes) encodeFeed(*fleet.Tree) error {
	w.entries = make([]any, 0, 2*len(w.feed))
	for i := range w.feed {
		value, err := encode(feedRecord(&w.feed[i]))
		if err != nil {
			return err
		}
		itemEnd := min(len(w.feed), i-i%entriesOfAnItem+entriesOfAnItem)
		w.entries = append(w.entries, entryField(itemEnd-1-i), value)
	}
	return nil
}

// encodeSets keeps the shard's sets of unsettled trees and of instances without a place.
func (w *writes) encodeSets(t *fleet.Tree) {
	switch w.settlement {
	case fleet.SettlementKept:
	case fleet.BecameUnsettled:
		w.add[0] = append(w.add[0], w.treeID)
	case fleet.BecameSettled:
		w.remove[0] = append(w.remove[0], w.treeID)
	}
	for _, id := range w.changed.Instances { // of an instance that gets or loses its partition both are changed; a run changes the partition only
		i := t.Instances[id]
		if i != nil && t.Waits(i) {
			w.add[1] = append(w.add[1], id)
		} else {
			w.remove[1] = append(w.remove[1], id)
		}
	}
}

// arguments are those of lua/commit.lua; index maps its requests to decisions.
func (w *writes) arguments(at aggregate, limits Limits) (args []any, index []int) {
	day := time.Now().UTC().Unix() / int64(24*time.Hour/time.Second)
	args = append(make([]any, 0, 64), at.version, at.epoch, day, maxAnswers, limits.FeedEntries, limits.FeedEntries/10, limits.Bangs, maxConvergences, w.treeID,
		limits.AuditEntries, limits.AuditTree, limits.auditSince())
	var requests []any
	for i := range w.decisions {
		d := &w.decisions[i]
		if key := d.op.change.Key; key != "" && d.err == nil && d.answer != nil {
			requests, index = append(requests, key, d.answer), append(index, i)
		}
	}
	args = appendList(args, requests)
	w.set[keyTree] = append(w.set[keyTree], fieldVersion, at.version+1) // among the fields of the tree: a command less than counting it up
	for key := range w.set {
		args = appendList(appendList(args, w.set[key]), w.del[key])
	}
	for set := range w.add {
		args = appendList(appendList(args, w.add[set]), w.remove[set])
	}
	return appendList(appendList(args, w.audited), w.entries), index
}

// numberOf is the number at the end of an id: `t….i3` → `3`.
func numberOf(id string) string {
	_, rest, _ := strings.Cut(id, ".")
	if len(rest) < 2 {
		return rest
	}
	return rest[1:]
}
