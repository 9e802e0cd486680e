package api

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/svc-promise/internal/window"
)

// maxUnacknowledged batches of one stream wait for their bangs; past that nothing more is read, and the node keeps what it has.
const maxUnacknowledged = 256

// fillWait is how long a batch waits for what its windows lack: were it acknowledged before, and this replica killed, the next one would know its groups by replay
// alone, which never bangs. A node answers within a round trip or not at all.
const fillWait = 10 * time.Second

// replayAgain is how long a stream waits before it asks again for the groups of an allocation whose replay did not bring what lacked.
const replayAgain = time.Minute

// batch is a received batch on its way to its acknowledgement.
type batch struct {
	number  uint64
	changes []*promisev1.VerdictChange
	waits   []<-chan struct{}
	// lacking are windows that lack groups before those of the batch, filled those that lacked some and do no more.
	lacking, filled []windowKey
	// until is when it waits no longer for the lacking ones.
	until time.Time
	// told are the allocations of the batch.
	told []string
}

// windowKey names a window.
type windowKey struct{ allocation, promise string }

// acknowledging tells the node of verdicts at once, and acknowledges batches in order, each after its bangs and when its windows lack nothing that the node may have.
// It has a goroutine only while a batch waits for something: one that waits for most of its life costs 8 kB of stack for each connected node.
type acknowledging struct {
	sense   *Sense
	ctx     context.Context //nolint:containedctx // of the stream that it is part of
	node    *stream
	batches chan batch
	silence func() // ends the calls when mutes change

	// Only its goroutine touches these.
	waiting []batch
	asked   map[string]time.Time
	muted   *told

	mu      sync.Mutex // guards what follows; held for a few instructions only
	running bool       // for ever once the stream ended or broke
	coming  int        // batches that are being taken
	err     error
	runs    sync.WaitGroup
}

func newAcknowledging(ctx context.Context, s *Sense, node *stream) *acknowledging {
	a := &acknowledging{sense: s, ctx: ctx, node: node, batches: make(chan batch), asked: map[string]time.Time{}, muted: newTold(s.Mutes)}
	a.silence = s.Mutes.Tell(func() { a.wake(0) })
	return a
}

// take takes the next batch, and waits while too many wait already.
func (a *acknowledging) take(one batch) {
	a.wake(1)
	select {
	case a.batches <- one:
	case <-a.ctx.Done():
	}
}

// wake makes sure that the goroutine runs, and expects a number of batches.
func (a *acknowledging) wake(coming int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.coming += coming; !a.running {
		a.running = true
		a.runs.Go(a.run)
	}
}

// rest tells whether nothing is left to do; the goroutine has to end then.
func (a *acknowledging) rest() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) > 0 || a.coming > 0 || !a.muted.current() {
		return false
	}
	a.running = false
	return true
}

// finish returns when nothing is sent any more, and why sending failed. The stream's context is over, and nothing is taken after it.
func (a *acknowledging) finish() error {
	a.silence()
	a.runs.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *acknowledging) run() {
	err := a.send()
	for err == nil && a.ctx.Err() == nil && !a.rest() {
		if err = a.wait(); err == nil {
			err = a.send()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = errors.Join(a.err, ended(err))
}

// send acknowledges what waits for nothing more, and tells what changed.
func (a *acknowledging) send() error {
	var acknowledged uint64
	for len(a.waiting) > 0 && len(a.waiting[0].waits) == 0 && (len(a.waiting[0].lacking) == 0 || !time.Now().Before(a.waiting[0].until)) {
		acknowledged, a.waiting = a.waiting[0].number, a.waiting[1:]
	}
	if acknowledged > 0 {
		if err := a.node.Send(&promisev1.SenseResponse{Acknowledged: acknowledged}); err != nil {
			return err
		}
	}
	if mutes := a.muted.news(time.Now()); len(mutes) > 0 {
		return a.node.Send(&promisev1.SenseResponse{Mutes: mutes})
	}
	return nil
}

// wait waits for what may change what is sent.
func (a *acknowledging) wait() error {
	more := a.batches
	if len(a.waiting) >= maxUnacknowledged {
		more = nil
	}
	var told <-chan struct{}
	var unfilled <-chan time.Time
	switch {
	case len(a.waiting) == 0:
	case len(a.waiting[0].waits) > 0:
		told = a.waiting[0].waits[0]
	default:
		unfilled = time.After(time.Until(a.waiting[0].until))
	}
	select {
	case <-a.ctx.Done():
	case <-a.muted.known:
	case <-unfilled:
	case <-told:
		a.waiting[0].waits = a.waiting[0].waits[1:]
	case one := <-more:
		a.mu.Lock()
		a.coming--
		a.mu.Unlock()
		return a.taken(one)
	}
	return nil
}

// taken tells what a batch changed and lacks.
func (a *acknowledging) taken(one batch) error {
	a.muted.heard(one.told)
	fill(a.waiting, &one, a.asked)
	replay := wanted(one.lacking, a.asked, time.Now())
	for _, key := range one.lacking {
		if until := a.asked[key.allocation].Add(fillWait); until.After(one.until) {
			one.until = until
		}
	}
	a.waiting = append(a.waiting, one)
	if len(one.changes) > 0 || len(replay) > 0 {
		return a.node.Send(&promisev1.SenseResponse{Changes: one.changes, Replay: replay})
	}
	return nil
}

// fill takes what a batch filled from those that wait for it; they wait for its bangs then. What lacks again may be asked for at once.
func fill(waiting []batch, by *batch, asked map[string]time.Time) {
	for _, key := range by.filled {
		delete(asked, key.allocation)
		lacks := func(k windowKey) bool { return k == key }
		by.lacking = slices.DeleteFunc(by.lacking, lacks)
		for i := range waiting {
			if w := &waiting[i]; slices.ContainsFunc(w.lacking, lacks) {
				w.lacking = slices.DeleteFunc(w.lacking, lacks)
				w.waits = append(w.waits, by.waits...)
			}
		}
	}
}

// wanted asks for the groups that windows lack, of one allocation once in replayAgain until they came: what the node has not either is not asked for over and over.
func wanted(lacking []windowKey, asked map[string]time.Time, now time.Time) []*promisev1.ReplayWanted {
	var replay []*promisev1.ReplayWanted
	for _, key := range lacking {
		id := key.allocation
		if last, known := asked[id]; known && now.Sub(last) < replayAgain {
			continue
		}
		if len(asked) >= window.MaxAllocations {
			clear(asked)
		}
		asked[id] = now
		replay = append(replay, &promisev1.ReplayWanted{AllocationId: id})
	}
	return replay
}
