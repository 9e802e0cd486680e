package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-master/fleet"
)

// How often one batch is decided at most. Conflicts mean that another replica made progress; a lost reply is looked up by
// deciding again, since request ids and the core's own keys tell what was committed.
const (
	maxConflicts = 16
	maxFailures  = 3
	// retryPause is between two attempts after the store failed.
	retryPause = 100 * time.Millisecond
)

// outcome is what the store said to a batch.
type outcome struct {
	committed bool
	version   uint64
	// seen are kept answers of repeated keys, by index of the decision.
	seen map[int][]byte
}

// decision is what the core said to one operation.
type decision struct {
	op      *operation
	answer  []byte
	effects fleet.Effects
	feedAt  int // place of its first feed entry in the batch
	err     error
}

// commitBatch decides operations in their order on one copy and commits them together: all of it, or nothing. It returns the
// tree as it is stored afterwards, or not known.
func (s *Store) commitBatch(treeID string, at aggregate, ops []*operation) aggregate {
	ctx := context.WithoutCancel(ops[0].ctx) // the batch outlives the caller that was first; its trace gets the round trip
	failures := 0
	for attempt := 0; ; attempt++ {
		if ops = wanted(ops, treeID); len(ops) == 0 {
			return at
		}
		after, left, err := s.attempt(ctx, treeID, at, ops)
		at, ops = after, left
		if err == nil && attempt < maxConflicts {
			continue
		}
		failures++
		if err != nil && failures < maxFailures && wait.For(s.stopping, retryPause) == nil {
			continue
		}
		for _, op := range ops {
			op.done <- result{err: &UnavailableError{fmt.Sprintf("cannot commit tree %q", treeID), err}}
		}
		return aggregate{}
	}
}

// wanted leaves out the operations whose callers left. Whether such a one was done is unknown to them in any case; deciding it long after, when the
// store is back, would do what nobody wants any more, and a partition could be committed whose reservation was given up.
func wanted(ops []*operation, treeID string) []*operation {
	return slices.DeleteFunc(slices.Clone(ops), func(op *operation) bool {
		err := op.ctx.Err()
		if err != nil {
			op.done <- result{err: &UnavailableError{fmt.Sprintf("cannot commit tree %q: its caller left", treeID), err}}
		}
		return err != nil
	})
}

// attempt decides and commits once. Operations that got their answer are not in left.
func (s *Store) attempt(ctx context.Context, treeID string, at aggregate, ops []*operation) (after aggregate, left []*operation, err error) {
	fresh := !at.known
	if fresh {
		if at, err = s.load(ctx, treeID); err != nil {
			return aggregate{}, ops, err
		}
	}
	b, err := s.decide(treeID, &at, ops)
	if err != nil {
		return aggregate{}, ops, err
	}
	var o outcome
	if b.empty() {
		o, err = s.verify(ctx, at, b, fresh)
	} else {
		o, err = s.commit(ctx, at, b)
	}
	switch {
	case err != nil:
		return aggregate{}, ops, err
	case len(o.seen) > 0:
		for i, d := range b.decisions {
			if answer, ok := o.seen[i]; ok {
				d.op.done <- result{Committed{Repeated: true}, d.op.change.Recall(answer)}
			} else {
				left = append(left, d.op)
			}
		}
		return aggregate{}, left, nil
	case !o.committed:
		return aggregate{}, ops, nil
	}
	if b.empty() && at.version == 0 {
		at.tree = nil
	}
	at.version, at.satisfied = o.version, b.satisfied
	if fresh {
		s.hosts.see(treeID, at.tree)
	} else {
		s.hosts.note(treeID, at.tree, b.changed.Instances) // whoever gets a partition, or another release, is among these
	}
	for _, d := range b.decisions {
		if d.err != nil && d.op.change.Key != "" && !b.empty() {
			// It may be a repeated request that does not fit any more. The script looked for the keys of what it stored only, so that this one is
			// decided again, without a change, which looks for its answer.
			left = append(left, d.op)
			continue
		}
		c := Committed{Effects: d.effects}
		if len(d.effects.Feed) > 0 {
			c.Position = fmt.Sprintf("%d-%d", at.epoch, b.position+uint64(d.feedAt))
		}
		d.op.done <- result{c, d.err}
	}
	return at, left, nil
}

// decide lets the core decide on each operation, in order, on the one copy.
func (s *Store) decide(treeID string, at *aggregate, ops []*operation) (*writes, error) {
	b := newWrites(treeID, at, s.limits)
	b.decisions = make([]decision, 0, len(ops))
	now := time.Now().UTC().Round(0)
	if at.tree != nil && at.tree.Generation.Epoch < at.epoch {
		_, effects, err := at.tree.EpochMoved(fleet.EpochMoved{Epoch: at.epoch}, now)
		if err != nil {
			return nil, err
		}
		b.merge(&effects, now)
	}
	for _, op := range ops {
		d := decision{op: op}
		if at.tree == nil && op.change.Account != "" {
			at.tree = fleet.New(treeID, op.change.Account, at.epoch)
		}
		if at.missing() && op.change.Account == "" {
			d.err = &NotFoundError{"tree", treeID}
		} else {
			var answer proto.Message
			answer, d.effects, d.err = op.change.Decide(at.tree, now)
			if d.err == nil && answer != nil && op.change.Key != "" {
				kept, err := encode(answer)
				if err != nil {
					return nil, err
				}
				d.answer = kept
			}
		}
		d.feedAt = len(b.feed)
		if d.err == nil {
			b.merge(&d.effects, now)
			b.audit.add(op.change.By, at.tree, d.effects.Audit)
		}
		b.decisions = append(b.decisions, d)
	}
	return b, b.finish(at.tree)
}

// verify checks that what was decided without a change was decided on what is stored, and finds kept answers.
func (s *Store) verify(ctx context.Context, at aggregate, b *writes, fresh bool) (outcome, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	keys := keysOfTree(b.treeID)
	var ids []string
	var index []int
	for i, d := range b.decisions {
		if d.op.change.Key != "" {
			ids, index = append(ids, d.op.change.Key), append(index, i)
		}
	}
	if fresh && len(ids) == 0 {
		return outcome{committed: true, version: at.version}, nil
	}
	pipe := s.client.Pipeline()
	epoch := pipe.HGet(ctx, keys.meta, fieldEpoch)
	version := pipe.HGet(ctx, keys.tree, fieldVersion)
	first, second := pipe.HMGet(ctx, keys.answers0, append(ids, "-")...), pipe.HMGet(ctx, keys.answers1, append(ids, "-")...)
	_, _ = pipe.Exec(ctx) // each command has its own error; a missing field is redis.Nil
	if err := first.Err(); err != nil {
		return outcome{}, err
	}
	if err := second.Err(); err != nil {
		return outcome{}, err
	}
	o := outcome{seen: map[int][]byte{}, version: at.version}
	for i := range ids {
		for _, v := range []any{first.Val()[i], second.Val()[i]} {
			if text, ok := v.(string); ok {
				o.seen[index[i]] = []byte(text)
			}
		}
	}
	o.committed = epoch.Val() == strconv.FormatUint(at.epoch, 10) &&
		(version.Val() == strconv.FormatUint(at.version, 10) || version.Val() == "" && at.version == 0)
	return o, nil
}

// commit calls the script.
func (s *Store) commit(ctx context.Context, at aggregate, b *writes) (outcome, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	keys := keysOfTree(b.treeID)
	args, index := b.arguments(at, s.limits)
	values, err := s.redis.RunJoined(ctx, s.scripts.commit, keys.script(), args...).Slice()
	s.written.tell(keys.feed) // after an error too: the answer may be what was lost
	if err != nil {
		return outcome{}, err
	}
	word, _ := values[0].(string)
	switch word {
	case "ok":
		first, _ := values[1].(int64)
		b.position = uint64(first)
		return outcome{committed: true, version: at.version + 1}, nil
	case "seen":
		o := outcome{seen: map[int][]byte{}}
		for i := 1; i+1 < len(values); i += 2 {
			at, _ := values[i].(int64)
			answer, _ := values[i+1].(string)
			if at < 1 || int(at) > len(index) {
				return outcome{}, fmt.Errorf("cannot read the store's answer: request %d of %d", at, len(index))
			}
			o.seen[index[at-1]] = []byte(answer)
		}
		return o, nil
	case "epoch":
		// Another process saw the new server first.
		if text, ok := values[1].(string); ok {
			if epoch, err := strconv.ParseUint(text, 10, 64); err == nil && epoch > 0 {
				s.epochSeen(ShardOf(b.treeID), epoch)
			}
		}
		return outcome{}, nil
	case "conflict":
		return outcome{}, nil
	}
	return outcome{}, fmt.Errorf("cannot read the store's answer %q", word)
}
