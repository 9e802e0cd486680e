package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vow-os/vow/gen/audit"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-promise/internal/mute"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/internal/window"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// Promise is the handler of PromiseService.
type Promise struct {
	windows     *window.Windows
	store       *redisstore.Store
	mutes       *mute.Registry
	contacts    *Contacts
	acts        audit.Recorder
	tracer      trace.Tracer
	transitions conv.Counter
	telemetry   *telemetry.Telemetry
}

// turned emits the event of a verdict that changed.
func turned(ctx context.Context, t *telemetry.Telemetry, computer, partition, promise string, failed bool) {
	t.Event(ctx, conv.EventPromiseVerdict, conv.ComputerID.String(computer), conv.PartitionID.String(partition),
		conv.PromiseName.String(promise), conv.Verdict.String(verdictValue(failed)))
}

var (
	_ promisev1connect.PromiseServiceHandler = (*Promise)(nil)
	_ promisev1connect.SenseServiceHandler   = (*Sense)(nil)
)

// NewPromise makes the handler.
func NewPromise(w *window.Windows, s *redisstore.Store, m *mute.Registry, c *Contacts, master *Master, t *telemetry.Telemetry) *Promise {
	return &Promise{windows: w, store: s, mutes: m, contacts: c, acts: audit.Recorder{Master: master.audit, Caller: rpc.Caller, Log: t.Log}, tracer: t.Tracer("svc-promise/api"), transitions: conv.PromiseTransitions.New(t.Meter("svc-promise/api")), telemetry: t}
}

// Evaluate tests the promises of a run.
func (p *Promise) Evaluate(ctx context.Context, request *promisev1.EvaluateRequest) (*promisev1.EvaluateResponse, error) {
	now := time.Now()
	p.contacts.Heard(request.GetComputer(), now)
	response := &promisev1.EvaluateResponse{}
	at := map[string]int{}
	for i, g := range request.GetGroups() {
		record := func() (window.Outcome, error) {
			// The runs do not matter: what a run asked for never bangs.
			recorded := recordedOf(g, verdict.Runs{}, true, false)
			point := pointOf(g, &recorded, request.GetComputer(), request.GetPartition(), "")
			point.Asked = g.GetRunId() != ""
			outcome, err := p.windows.Record(request.GetAllocationId(), g.GetPromise(), kindOf(g.GetKind()), recorded, point, now)
			if err != nil {
				return outcome, rpc.ResourceExhausted(err, 0)
			}
			if outcome.Effect.Has(verdict.Changed) {
				p.transitions.Add(ctx, 1, conv.Verdict.String(verdictValue(outcome.Verdict.TestFailed)))
				turned(ctx, p.telemetry, request.GetComputer(), request.GetPartition(), g.GetPromise(), outcome.Verdict.TestFailed)
			}
			return outcome, nil
		}
		if rest := request.GetGroups()[i+1:]; len(rest) > 0 && rest[0].GetPromise() == g.GetPromise() {
			// It fills the window of the one after it: this replica may never have heard of the partition.
			if _, err := record(); err != nil {
				return nil, err
			}
			continue
		}
		_, span := p.tracer.Start(ctx, conv.SpanEvaluatePromise, trace.WithAttributes(
			conv.PromiseName.String(g.GetPromise()), conv.PromiseKind.String(string(kindOf(g.GetKind()))), conv.EvaluatedBy.String(conv.EvaluatedByService),
		))
		outcome, err := record()
		if err != nil {
			span.End()
			return nil, err
		}
		span.SetAttributes(conv.Verdict.String(verdictValue(outcome.Verdict.TestFailed)))
		span.End()
		one := verdictOf(g.GetPromise(), outcome.Verdict, p.mutes.Of(request.GetAllocationId(), g.GetPromise(), now))
		if i, again := at[g.GetPromise()]; again {
			response.Verdicts[i] = one
			continue
		}
		at[g.GetPromise()] = len(response.Verdicts)
		response.Verdicts = append(response.Verdicts, one)
	}
	return response, nil
}

// Verdicts of an allocation; none when nothing was heard of it. The stream may be at another replica, or have been here long ago: of each promise the newer of
// what the windows and the store know is told, and the store's if a window knows as much but lacks groups before it.
func (p *Promise) Verdicts(ctx context.Context, request *promisev1.VerdictsRequest) (*promisev1.VerdictsResponse, error) {
	now, id := time.Now(), request.GetAllocationId()
	all, err := p.store.Promises(ctx, id, now.Add(-window.Silence))
	if err != nil {
		return nil, stored(err)
	}
	newest := map[string]*typev1.Verdict{}
	for _, one := range all {
		if v := one.Record.GetVerdict(); v != nil { // else its hash has expired
			v.Promise, v.Mute = one.Promise, p.mutes.Of(id, one.Promise, now)
			newest[one.Promise] = v
		}
	}
	for _, v := range p.windows.Verdicts(id) {
		if known := newest[v.Promise].GetSequence(); v.Sequence > known || v.Sequence == known && v.Complete {
			newest[v.Promise] = verdictOf(v.Promise, v.Verdict, p.mutes.Of(id, v.Promise, now))
		}
	}
	response := &promisev1.VerdictsResponse{}
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		response.Verdicts = append(response.Verdicts, newest[name])
	}
	return response, nil
}
