package agent

import (
	"context"

	"github.com/vow-os/vow/svc-node/internal/peer"
)

// register tells svc-master of the computer, until it took it. The streams wait for the first attempt only: a node that
// is known already must not wait for svc-master to hear from svc-scheduler.
func (a *Agent) register(ctx context.Context) error {
	if a.s.Register == nil {
		close(a.registered)
		return nil
	}
	for attempt := 0; ctx.Err() == nil; attempt++ {
		if a.tryRegister(ctx, attempt) {
			break
		}
		wait(ctx, a.reconnect(attempt, a.s.Computer+"/register"))
	}
	return nil
}

func (a *Agent) tryRegister(ctx context.Context, attempt int) bool {
	err := a.s.Master.Register(ctx, a.s.Register)
	if attempt == 0 {
		close(a.registered)
	}
	switch {
	case err == nil:
		a.s.Telemetry.Log.InfoContext(ctx, "the computer is registered", "computer", a.s.Computer, "partitions", len(a.s.Register.GetPartitions()))
	case ctx.Err() == nil && (attempt == 0 || peer.Refused(err)):
		a.s.Telemetry.Log.WarnContext(ctx, "cannot register the computer yet", "computer", a.s.Computer, "error", err)
	}
	return err == nil
}
