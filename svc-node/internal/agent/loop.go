package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/svc-node/converge"
)

// idle is how long the loop's timer sleeps when nothing is due.
const idle = 24 * time.Hour

// tell passes an event to the loop.
func (a *Agent) tell(ctx context.Context, e converge.Event) {
	select {
	case a.events <- e:
	case <-ctx.Done():
	}
}

// loop owns the state of converge.
func (a *Agent) loop(ctx context.Context) error {
	node := *a.node.Load()
	timer := time.NewTimer(idle)
	defer timer.Stop()
	step := func(e converge.Event) {
		next, effects, reason := node.Step(e, time.Now())
		node = next
		a.node.Store(&next)
		if a.s.Telemetry.Log.Enabled(ctx, slog.LevelDebug) {
			a.s.Telemetry.Log.DebugContext(ctx, "event", "event", fmt.Sprintf("%T", e), "reason", reason, "effects", len(effects))
		}
		for _, effect := range effects {
			a.carry(ctx, effect)
		}
		if len(effects) > 0 {
			a.wantStatus()
		}
	}
	step(converge.Tick{})
	for {
		wait := idle
		if at, ok := node.Due(); ok {
			wait = time.Until(at)
		}
		timer.Reset(wait)
		select {
		case e := <-a.events:
			step(e)
		case <-timer.C:
			step(converge.Tick{})
		case <-ctx.Done():
			return nil
		}
	}
}

// carry carries one effect out. What it writes, it writes before the next effect: a run never begins before its number
// is on disk.
func (a *Agent) carry(ctx context.Context, effect converge.Effect) {
	var err error
	switch e := effect.(type) {
	case converge.Count:
		err = a.records.Count(&storev1.NodeCounter{BootId: a.s.BootID, Sequence: e.Sequence})
	case converge.Store:
		err = a.records.Write(recordOf(e.Partition, a.errorOf(e.Partition.Name), a.runsRelease(e.Partition.Name), a.problemsOf(e.Partition.Name)))
	case converge.Forget:
		a.senses.Unwatch(e.Partition)
		err = a.senses.Forget(e.AllocationID)
		if bangErr := a.bangs.RemoveKey(e.Partition); err == nil {
			err = bangErr
		}
		if recordErr := a.records.Remove(e.Partition); err == nil {
			err = recordErr
		}
		a.setError(e.Partition, "")
		a.mu.Lock()
		delete(a.uses, e.Partition)
		delete(a.problems, e.Partition)
		a.mu.Unlock()
	case converge.StartRun:
		a.group.Go("run", func(ctx context.Context) error {
			a.run(ctx, e)
			return nil
		})
	default:
		err = fmt.Errorf("cannot carry out %T", effect)
	}
	if err != nil {
		a.disk.Failed()
		a.s.Telemetry.Log.ErrorContext(ctx, "what the node knows is not on disk", "error", err)
	}
}

// run carries out one run and tells the loop of its end.
func (a *Agent) run(ctx context.Context, e converge.StartRun) {
	want := contentOf(e.Want)
	if want == nil {
		a.tell(ctx, converge.Ended{Partition: e.Run.Partition, RunID: e.Run.RunID, Outcome: converge.Refused})
		return
	}
	a.begins(want)
	ended, text := a.engine.Run(ctx, e.Run, want)
	if ended.Outcome == converge.Done {
		a.setError(e.Run.Partition, text)
		if ended.Result == converge.Success {
			a.succeeded(e.Run.Partition)
		}
		if e.Run.Local && ended.Result == converge.Success {
			// What the bang wanted is done (docs/rules.md, autonomy).
			if err := a.bangs.RemoveKey(e.Run.Partition); err != nil {
				a.s.Telemetry.Log.ErrorContext(ctx, "a bang that is done stays spooled", "error", err)
			}
		}
	}
	a.tell(ctx, ended)
}

func (a *Agent) errorOf(partition string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.errors[partition]
}

func (a *Agent) setError(partition, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if text == "" {
		delete(a.errors, partition)
		return
	}
	a.errors[partition] = text
}
