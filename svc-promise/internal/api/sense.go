package api

import (
	"context"
	"errors"
	"io"
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
	a := newAcknowledging(ctx, s, node)
	r := newRecording(ctx, s, hello.GetComputer(), a.take)
	err = s.receive(node, r)
	r.finish()
	cancel()
	return errors.Join(ended(err), a.finish())
}

// ended makes the ordinary end of a stream no error.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// receive reads until the stream ends.
func (*Sense) receive(node *stream, r *recording) error {
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

// limitOf names the limit that was hit.
func limitOf(err error) string {
	if errors.Is(err, window.ErrTooManyPromises) {
		return "window.promises"
	}
	return "window.allocations"
}
