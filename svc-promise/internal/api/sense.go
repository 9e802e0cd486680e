package api

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"connectrpc.com/connect"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-promise/internal/alarm"
	"github.com/vow-os/vow/svc-promise/internal/mute"
	"github.com/vow-os/vow/svc-promise/internal/window"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// maxUnacknowledged batches of one stream wait for their bangs; past that nothing more is read, and the node keeps what it has.
const maxUnacknowledged = 256

// fillWait is how long a batch waits for what its windows lack: were it acknowledged before, and this replica killed, the next one would know its groups by replay
// alone, which never bangs. A node answers within a round trip or not at all.
const fillWait = 10 * time.Second

// replayAgain is how long a stream waits before it asks again for the groups of an allocation whose replay did not bring what lacked.
const replayAgain = time.Minute

// Sense is the handler of SenseService.
type Sense struct {
	Windows   *window.Windows
	Mutes     *mute.Registry
	Alarm     *alarm.Alarm
	Contacts  *Contacts
	Telemetry *telemetry.Telemetry

	transitions conv.Counter
	limits      conv.Counter
}

// NewSense makes the handler.
func NewSense(w *window.Windows, m *mute.Registry, a *alarm.Alarm, c *Contacts, t *telemetry.Telemetry) *Sense {
	meter := t.Meter("svc-promise/api")
	return &Sense{Windows: w, Mutes: m, Alarm: a, Contacts: c, Telemetry: t, transitions: conv.PromiseTransitions.New(meter), limits: conv.LimitHits.New(meter)}
}

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

// stream is what Sense needs of the RPC library's.
type stream = connect.BidiStream[promisev1.SenseRequest, promisev1.SenseResponse]

// Sense serves one node.
func (s *Sense) Sense(ctx context.Context, node *stream) error {
	first, err := node.Receive()
	if err != nil {
		return ended(err)
	}
	hello := first.GetHello()
	if hello == nil {
		return rpc.InvalidArgument(errors.New("cannot sense: the first message has no hello"))
	}
	defer s.Contacts.Open(ctx, hello.GetComputer())()
	// Windows are in memory: this replica may lack what the node told another one, or itself before a restart.
	if err := node.Send(&promisev1.SenseResponse{Replay: []*promisev1.ReplayWanted{{}}}); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan batch)
	written := make(chan error, 1)
	go func() { written <- s.acknowledge(ctx, node, batches) }()
	r := newRecording(ctx, s, hello.GetComputer(), batches)
	err = s.receive(ctx, node, r)
	r.finish()
	cancel()
	return errors.Join(ended(err), <-written)
}

// ended makes the ordinary end of a stream no error.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// receive reads until the stream ends.
func (*Sense) receive(ctx context.Context, node *stream, r *recording) error {
	for {
		request, err := node.Receive()
		if err != nil {
			return err
		}
		if err := r.take(request); err != nil {
			return err
		}
	}
}

// record puts the groups of one allocation into their windows, and raises the alarm where they ask for it. lacking is the windows of the stream that lack groups.
func (s *Sense) record(ctx context.Context, computer string, a *promisev1.AllocationGroups, into *batch, lacking map[windowKey]struct{}) {
	runs, id := runsOf(a.GetRuns()), a.GetRuns().GetAllocationId()
	now := time.Now()
	for _, g := range a.GetGroups() {
		recorded, muted := recordedOf(g, runs, false, a.GetReplay()), s.Mutes.Of(id, g.GetPromise(), now)
		recorded.Muted = muted != nil
		outcome, err := s.Windows.Record(id, g.GetPromise(), kindOf(g.GetKind()), recorded, pointOf(g, &recorded, computer, a.GetRuns().GetPartition(), a.GetRuns().GetSoftwareRelease()), now)
		if err != nil {
			s.limits.Add(ctx, 1, conv.LimitName.String(limitOf(err)))
			s.Telemetry.Log.WarnContext(ctx, "cannot record a group", "computer", computer, "allocation", id, "promise", g.GetPromise(), "error", err)
			continue
		}
		if key := (windowKey{id, g.GetPromise()}); !outcome.Complete && !a.GetReplay() {
			if _, known := lacking[key]; known || len(lacking) < window.MaxPromises {
				lacking[key] = struct{}{}
				into.lacking = append(into.lacking, key)
			}
		} else if _, lacked := lacking[key]; lacked && outcome.Complete {
			delete(lacking, key)
			into.filled = append(into.filled, key)
		}
		if outcome.Effect.Has(verdict.Changed) {
			s.transitions.Add(ctx, 1, conv.Verdict.String(verdictValue(outcome.Verdict.TestFailed)))
			turned(ctx, s.Telemetry, computer, a.GetRuns().GetPartition(), g.GetPromise(), outcome.Verdict.TestFailed)
			into.changes = append(into.changes, &promisev1.VerdictChange{AllocationId: id, Verdict: verdictOf(g.GetPromise(), outcome.Verdict, muted)})
		}
		if outcome.Effect.Has(verdict.Bang) || outcome.Effect.Has(verdict.BangNotAllowed) {
			s.Alarm.Raise(telemetry.Extract(ctx, carrierOf(a.GetTrace())), alarm.Bang{
				Computer: computer, Partition: a.GetRuns().GetPartition(), Allocation: id, Promise: g.GetPromise(),
				Message: outcome.Verdict.Message, Runs: outcome.Runs, At: outcome.Verdict.At, NotAllowed: outcome.Effect.Has(verdict.BangNotAllowed),
			})
		}
	}
	into.told = append(into.told, id)
	// A batch that is sent again after a lost stream finds its groups known and its bang still on its way: it waits for that too.
	into.waits = append(into.waits, s.Alarm.Pending(id)...)
}

// acknowledge tells the node of verdicts at once, and acknowledges batches in order, each after its bangs and when its windows lack nothing that the node may have.
func (s *Sense) acknowledge(ctx context.Context, node *stream, batches <-chan batch) error {
	var waiting []batch
	asked, muted := map[string]time.Time{}, newTold(s.Mutes)
	for {
		var acknowledged uint64
		for len(waiting) > 0 && len(waiting[0].waits) == 0 && (len(waiting[0].lacking) == 0 || !time.Now().Before(waiting[0].until)) {
			acknowledged, waiting = waiting[0].number, waiting[1:]
		}
		if acknowledged > 0 {
			if err := node.Send(&promisev1.SenseResponse{Acknowledged: acknowledged}); err != nil {
				return ended(err)
			}
		}
		more := batches
		if len(waiting) >= maxUnacknowledged {
			more = nil
		}
		changed := s.Mutes.Changed()
		if mutes := muted.news(time.Now()); len(mutes) > 0 {
			if err := node.Send(&promisev1.SenseResponse{Mutes: mutes}); err != nil {
				return ended(err)
			}
		}
		var told <-chan struct{}
		var unfilled <-chan time.Time
		switch {
		case len(waiting) == 0:
		case len(waiting[0].waits) > 0:
			told = waiting[0].waits[0]
		default:
			unfilled = time.After(time.Until(waiting[0].until))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-unfilled:
		case <-told:
			waiting[0].waits = waiting[0].waits[1:]
		case one := <-more:
			muted.heard(one.told)
			fill(waiting, &one, asked)
			now := time.Now()
			replay := wanted(one.lacking, asked, now)
			for _, key := range one.lacking {
				if until := asked[key.allocation].Add(fillWait); until.After(one.until) {
					one.until = until
				}
			}
			waiting = append(waiting, one)
			if len(one.changes) > 0 || len(replay) > 0 {
				if err := node.Send(&promisev1.SenseResponse{Changes: one.changes, Replay: replay}); err != nil {
					return ended(err)
				}
			}
		}
	}
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

// limitOf names the limit that was hit.
func limitOf(err error) string {
	if errors.Is(err, window.ErrTooManyPromises) {
		return "window.promises"
	}
	return "window.allocations"
}
