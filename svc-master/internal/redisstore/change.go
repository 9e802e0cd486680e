package redisstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/svc-master/fleet"
)

// Change is an event for one tree.
type Change struct {
	// Tree that it is for.
	Tree string
	// Account makes the tree under this account when it is not stored; empty = *NotFoundError then.
	Account string
	// Key is the request id under which the answer is kept; empty = the core, or the content, tells repetitions.
	Key string
	// Decide applies the event to the tree and returns the answer to keep under Key, nil without one. It may be called several
	// times, with different trees, and only the last call counts. It must not wait.
	Decide func(t *fleet.Tree, now time.Time) (answer proto.Message, effects fleet.Effects, err error)
	// By is who changes, for the audit; the zero value = svc-master by itself.
	By Actor
	// Recall takes over the kept answer of a repeated Key, into a message of the kind that Decide returns. Required with Key.
	Recall func(answer []byte) error
}

// Committed is what a change did.
type Committed struct {
	// Effects of a change that was committed now; empty for a repeated one.
	fleet.Effects
	// Position of its first feed entry, as a stream id; empty without one.
	Position string
	// Repeated is true when the answer was kept from before.
	Repeated bool
}

// Update decides and commits one change. When it returns, the change is durable, or an error tells why nothing changed
// or, as *UnavailableError, that it is unknown; the same change may be sent again.
func (s *Store) Update(ctx context.Context, c Change) (Committed, error) {
	return s.submit(ctx, &operation{ctx: ctx, change: c, done: make(chan result, 1)})
}

// View lets read look at a tree as it is stored now; read must not wait nor keep parts of it.
// Errors: *NotFoundError, *UnavailableError, those of read.
func (s *Store) View(ctx context.Context, treeID string, read func(t *fleet.Tree, now time.Time) error) error {
	_, err := s.submit(ctx, &operation{ctx: ctx, change: Change{
		Tree: treeID,
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			return nil, fleet.Effects{}, read(t, now)
		},
	}, done: make(chan result, 1)})
	return err
}

// operation is a change that waits for its turn.
type operation struct {
	ctx    context.Context
	change Change
	done   chan result // takes one
}

type result struct {
	committed Committed
	err       error
}

// committers holds, for each tree that somebody waits for, the queue of its one committer.
type committers struct {
	mu      sync.Mutex // never held while anything waits
	queues  map[string][]*operation
	closed  bool
	running sync.WaitGroup
}

func newCommitters() *committers { return &committers{queues: map[string][]*operation{}} }

// add queues an operation, and starts the committer of a tree that has none.
func (c *committers) add(op *operation, bound int, commitAll func(treeID string)) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	treeID := op.change.Tree
	queue, busy := c.queues[treeID]
	if c.closed || len(queue) >= bound {
		return false
	}
	c.queues[treeID] = append(queue, op)
	if !busy {
		c.running.Go(func() { commitAll(treeID) })
	}
	return true
}

// alongside runs something until close has waited for it; false = it is closed.
func (c *committers) alongside(do func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(do)
	}
	return !c.closed
}

// close refuses further operations and waits for those that were taken.
func (c *committers) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}

// next takes up to n operations of a tree; none means that its committer ends. A batch has no key twice: the second of two callers with one request id
// finds the answer of the first, which is kept with the commit of its batch.
func (c *committers) next(treeID string, n int) []*operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := c.queues[treeID]
	if len(queue) == 0 {
		delete(c.queues, treeID)
		return nil
	}
	n = distinct(queue[:min(n, len(queue))])
	batch := queue[:n:n]
	c.queues[treeID] = queue[n:]
	return batch
}

// distinct is how many operations come before the first whose key one before it has.
func distinct(queue []*operation) int {
	keys := make(map[string]bool, len(queue))
	for n, op := range queue {
		key := op.change.Key
		if keys[key] {
			return n
		}
		keys[key] = key != ""
	}
	return len(queue)
}

func (s *Store) submit(ctx context.Context, op *operation) (Committed, error) {
	if !s.trees.add(op, s.limits.Waiting, s.commitAll) {
		s.limit(LimitWaiting)
		return Committed{}, &UnavailableError{What: fmt.Sprintf("cannot change tree %q: too many callers wait for it, or the service stops", op.change.Tree)}
	}
	select {
	case r := <-op.done:
		return r.committed, r.err
	case <-ctx.Done():
		return Committed{}, &UnavailableError{fmt.Sprintf("cannot wait for tree %q any longer", op.change.Tree), ctx.Err()}
	}
}

// commitAll is the committer of one tree: it works as long as somebody waits. Callers that arrive while a commit is on its
// way are decided together in the next one, so that a hot tree costs one round trip per batch and not per caller.
func (s *Store) commitAll(treeID string) {
	for {
		ops := s.trees.next(treeID, maxGroup)
		if len(ops) == 0 {
			return
		}
		// Kept in the cache between batches: the next committer of this tree may begin before this one has ended.
		s.cache.put(treeID, s.commitBatch(treeID, s.cache.take(treeID), ops))
	}
}
