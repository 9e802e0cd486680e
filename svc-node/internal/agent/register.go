package agent

import (
	"context"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/internal/peer"
)

// register tells svc-master of the computer, until it took it, and again when something of it changed. The streams wait for
// the first attempt only: a node that is known already must not wait for svc-master to hear from svc-scheduler.
func (a *Agent) register(ctx context.Context) error {
	if a.s.Register == nil {
		close(a.registered)
		return nil
	}
	var registered *masterv1.RegisterComputerRequest
	failures := 0
	for first := true; ctx.Err() == nil; first = false {
		now, err := a.s.Register()
		if err == nil && !proto.Equal(now, registered) {
			if err = a.s.Master.Register(ctx, now); err == nil {
				registered = now
				a.s.Telemetry.Log.InfoContext(ctx, "the computer is registered", "computer", a.s.Computer, "partitions", len(now.GetPartitions()))
			}
		}
		if first {
			close(a.registered)
		}
		switch {
		case err == nil && a.s.RegisterEvery == 0:
			return nil
		case err == nil:
			failures = 0
			_ = wait.For(ctx, a.s.RegisterEvery)
		default:
			if ctx.Err() == nil && (failures == 0 || peer.Refused(err)) {
				a.s.Telemetry.Log.WarnContext(ctx, "cannot register the computer yet", "computer", a.s.Computer, "error", err)
			}
			_ = wait.For(ctx, a.reconnect(failures, a.s.Computer+"/register"))
			failures++
		}
	}
	return nil
}
