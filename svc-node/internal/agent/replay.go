package agent

import (
	"context"
	"time"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/spool"
)

const (
	// replayTimeout bounds one message of the spool.
	replayTimeout = 5 * time.Second
	// yielding is how long a spooled message makes way for a run in progress, before each message; yieldStep is how
	// often it looks. The spool is never starved: a busy node sends one message in a second.
	yielding  = time.Second
	yieldStep = 50 * time.Millisecond
	// firstReplay and lastReplay bound the growing delay while svc-master does not take what is sent.
	firstReplay = time.Second
	lastReplay  = time.Minute
)

// wantReplay says that something may be sent.
func (a *Agent) wantReplay() {
	select {
	case a.replayWanted <- struct{}{}:
	default:
	}
}

// replay sends what was spooled: reports in their order, then bangs, which are younger than the last successful run, then usage.
func (a *Agent) replay(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for attempt := 0; ; {
		select {
		case <-a.replayWanted:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		err := a.drain(ctx, a.reports, a.sendReport)
		if err == nil {
			err = a.drain(ctx, a.bangs, a.sendBang)
		}
		if err == nil {
			err = a.drain(ctx, a.usages, a.sendUsage)
		}
		if err == nil {
			attempt = 0
			continue
		}
		attempt++
		a.s.Telemetry.Log.DebugContext(ctx, "the spool is not empty yet", "error", err)
		timer.Reset(backoff.Delay(attempt, a.s.Computer, firstReplay, lastReplay))
	}
}

// drain sends the messages of a spool, oldest first, until it is empty or svc-master is away.
func (a *Agent) drain(ctx context.Context, s *spool.Spool, send func(context.Context, *spool.Spool) (sent bool, err error)) error {
	for ctx.Err() == nil {
		for began := time.Now(); a.node.Load().Running() > 0 && time.Since(began) < yielding && s.Len() > 0; {
			_ = wait.For(ctx, yieldStep)
		}
		sent, err := send(ctx, s)
		if err != nil {
			return err
		}
		if !sent {
			return nil
		}
	}
	return ctx.Err()
}

func (a *Agent) sendReport(ctx context.Context, s *spool.Spool) (bool, error) {
	m := new(storev1.NodeReport)
	return a.sendFirst(ctx, s, m, func() *typev1.TraceContext { return m.GetTrace() }, func(ctx context.Context) error {
		_, err := a.s.Master.ReportRun(ctx, m.GetReport())
		return err
	})
}

func (a *Agent) sendBang(ctx context.Context, s *spool.Spool) (bool, error) {
	m := new(storev1.NodeBang)
	return a.sendFirst(ctx, s, m, func() *typev1.TraceContext { return m.GetTrace() }, func(ctx context.Context) error {
		_, err := a.s.Master.Bang(ctx, m.GetBang())
		return err
	})
}

// sendFirst sends the oldest message in its own trace. What is refused is gone: it cannot succeed later.
func (a *Agent) sendFirst(ctx context.Context, s *spool.Spool, m spooled, trace func() *typev1.TraceContext, call func(context.Context) error) (bool, error) {
	name, ok, err := s.First(m)
	if err != nil {
		a.s.Telemetry.Log.ErrorContext(ctx, "a spooled message is lost", "error", err)
		return true, nil
	}
	if !ok {
		return false, nil
	}
	timed, cancel := context.WithTimeout(telemetry.Extract(telemetry.NewRootContext(ctx), telemetry.Carrier{
		Traceparent: trace().GetTraceparent(), Tracestate: trace().GetTracestate(), Baggage: trace().GetBaggage(),
	}), replayTimeout)
	defer cancel()
	if err := call(timed); peer.Away(err) {
		return false, err
	} else if err != nil {
		a.s.Telemetry.Log.WarnContext(timed, "svc-master refused a spooled message", "error", err)
	}
	if err := s.Remove(name); err != nil {
		return false, err
	}
	a.wantStatus()
	return true, nil
}

// keepReport and keepBang put a message into its spool, and count what gave way for it.
func (a *Agent) keepReport(r *storev1.NodeReport) error { return a.put(a.reports, limitReports, "", r) }

func (a *Agent) keepBang(b *storev1.NodeBang) error {
	return a.put(a.bangs, limitBangs, b.GetPartition(), b)
}

func (a *Agent) put(s *spool.Spool, limit, key string, m spooled) error {
	before := s.Dropped()
	if err := s.Put(key, m); err != nil {
		a.disk.Failed()
		if s == a.usages { // it is measured on
			return err
		}
		if holdErr := s.Hold(key, m); holdErr != nil {
			return holdErr
		}
		a.s.Telemetry.Log.WarnContext(context.Background(), "a message for svc-master is held in memory: the disk does not take it", "error", err)
		if s == a.bangs {
			return err // its exit stays in the supervisor's journal, so that it outlives the agent
		}
	}
	if dropped := s.Dropped() - before; dropped > 0 {
		a.limits.Add(context.Background(), int64(dropped), conv.LimitName.String(limit))
	}
	return nil
}
