package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/supervise"
)

const (
	// bangTimeout bounds one attempt to tell svc-master of a bang; what it does not take is spooled.
	bangTimeout = 2 * time.Second
	// bangsAtOnce bounds the exits told at the same time: when everything dies at once, as many calls are under way.
	bangsAtOnce = 64
)

// watch follows the supervisor's journal of exits (docs/rules.md, watchdog).
func (a *Agent) watch(ctx context.Context) error {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		exits, err := a.s.Supervisor.Subscribe(ctx, 0)
		if err != nil {
			if attempt == 1 {
				a.s.Telemetry.Log.WarnContext(ctx, "cannot hear of exits yet", "error", err)
			}
			_ = wait.For(ctx, backoff.Delay(attempt, a.s.Computer, 20*time.Millisecond, 5*time.Second))
			continue
		}
		attempt = 0
		a.follow(ctx, exits)
	}
	return nil
}

// follow bangs for each watched exit and acknowledges in the order of the journal, when all up to there are told.
func (a *Agent) follow(ctx context.Context, exits <-chan supervise.Exit) {
	j := &journal{told: map[uint64]bool{}, advanced: make(chan struct{}, 1)}
	var telling sync.WaitGroup
	defer telling.Wait()
	ending, end := context.WithCancel(ctx)
	defer end()
	telling.Go(func() { a.acknowledge(ending, j) })
	slots := make(chan struct{}, bangsAtOnce)
	for exit := range exits {
		j.heard(exit.Seq)
		if !exit.Watched {
			j.tell(exit.Seq)
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		telling.Go(func() {
			defer func() { <-slots }()
			if a.exited(ctx, exit) {
				j.tell(exit.Seq)
			}
		})
	}
}

// journal is which exits were heard of and told.
type journal struct {
	mu       sync.Mutex
	pending  []uint64
	told     map[uint64]bool
	done     uint64
	advanced chan struct{}
}

func (j *journal) heard(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = append(j.pending, seq)
}

func (j *journal) tell(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told[seq] = true
	for len(j.pending) > 0 && j.told[j.pending[0]] {
		j.done = j.pending[0]
		delete(j.told, j.done)
		j.pending = j.pending[1:]
	}
	select {
	case j.advanced <- struct{}{}:
	default:
	}
}

func (a *Agent) acknowledge(ctx context.Context, j *journal) {
	var acked uint64
	for {
		select {
		case <-j.advanced:
		case <-ctx.Done():
			return
		}
		j.mu.Lock()
		done := j.done
		j.mu.Unlock()
		if done <= acked {
			continue
		}
		if err := a.s.Supervisor.Ack(ctx, done); err != nil {
			a.s.Telemetry.Log.DebugContext(ctx, "exits are heard of again", "error", err)
			continue
		}
		acked = done
	}
}

// exited tells of one exit that nobody asked for; false = it could be neither told nor spooled.
func (a *Agent) exited(ctx context.Context, exit supervise.Exit) bool {
	reason := exitReason(exit.Ending)
	p := a.node.Load().Partition(exit.Partition)
	ctx, span := a.tracer.Start(telemetry.NewRootContext(ctx), conv.SpanExit, trace.WithAttributes(
		conv.PartitionID.String(exit.Partition), conv.AllocationID.String(p.Desired.AllocationID), conv.ProcessName.String(exit.Name),
		conv.ProcessPID.Int(exit.PID), conv.ProcessReason.String(reason), conv.ProcessExit.Int(exit.Ending.Code), conv.BangOrigin.String(conv.OriginProcess)))
	defer span.End()
	a.exits.Add(ctx, 1, conv.ProcessReason.String(reason))
	a.s.Telemetry.Event(ctx, conv.EventProcessExited, conv.PartitionID.String(exit.Partition), conv.ProcessName.String(exit.Name), conv.ProcessPID.Int(exit.PID),
		conv.ProcessReason.String(reason), conv.ProcessExit.Int(exit.Ending.Code))
	if p.Phase == converge.Free || p.Desired.Requested != converge.Started {
		return true // nobody wants the service any more
	}
	return a.bang(ctx, exit.Partition, &masterv1.BangRequest{
		Target:           &masterv1.BangRequest_AllocationId{AllocationId: p.Desired.AllocationID},
		Origin:           typev1.BangOrigin_BANG_ORIGIN_PROCESS,
		Source:           exit.Name,
		Message:          cut("service "+exit.Name+": "+exit.Reason, 5000),
		LastSuccessRunId: p.LastSuccess,
		RunInProgress:    p.InProgress(),
		NoticedAt:        timestamppb.New(exit.At),
		ExitSequence:     exit.Seq,
		UpSeconds:        max(0, exit.Uptime.Seconds()),
	})
}

func exitReason(e supervise.Ending) string {
	switch {
	case e.Failed != "":
		return conv.ExitStart
	case e.Memory > 0:
		return conv.ExitMemory
	case e.Unknown:
		return conv.ExitUnknown
	case e.Signal != 0:
		return conv.ExitSignal
	}
	return conv.ExitCode
}

// bang tells svc-master, or spools the bang. false = neither worked.
func (a *Agent) bang(ctx context.Context, partition string, bang *masterv1.BangRequest) bool {
	call, cancel := context.WithTimeout(ctx, bangTimeout)
	defer cancel()
	_, err := a.s.Master.Bang(call, bang)
	switch {
	case err == nil:
		return true
	case peer.Refused(err):
		a.s.Telemetry.Log.WarnContext(ctx, "svc-master refused a bang", "partition", partition, "source", bang.GetSource(), "error", err)
		return true
	}
	carrier := telemetry.Inject(ctx)
	if spoolErr := a.keepBang(&storev1.NodeBang{
		Partition: partition, Bang: bang, SpooledAt: timestamppb.Now(),
		Trace: &typev1.TraceContext{Traceparent: carrier.Traceparent, Tracestate: carrier.Tracestate, Baggage: carrier.Baggage},
	}); spoolErr != nil {
		a.s.Telemetry.Log.ErrorContext(ctx, "a bang is not spooled", "partition", partition, "error", spoolErr)
		return false
	}
	a.s.Telemetry.Log.WarnContext(ctx, "a bang waits for svc-master", "partition", partition, "source", bang.GetSource(), "error", err)
	a.wantReplay()
	return true
}

// cut returns the beginning of s, at most n bytes, as valid UTF-8.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
