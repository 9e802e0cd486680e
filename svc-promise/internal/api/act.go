package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// actTimeout bounds what is told of an act that failed: whoever asked for it waits.
const actTimeout = 2 * time.Second

// recorded does an act of a person once svc-master has written it down; what failed then is written down too (docs/audit.md).
func (p *Promise) recorded(ctx context.Context, act *masterv1.RecordActRequest, do func() error) error {
	act.ActId = rand.Text()
	name, address := rpc.Caller(ctx)
	if act.Address = address; name != "" {
		act.By = name
	}
	if err := p.master.recordAct(ctx, act); err != nil {
		return err
	}
	err := do()
	if err == nil {
		return nil
	}
	act.ActId, act.Failed, act.Reason = act.GetActId()+"-failed", true, strings.ToValidUTF8(err.Error()[:min(len(err.Error()), actReason)], "")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actTimeout)
	defer cancel()
	if told := p.master.recordAct(ctx, act); told != nil {
		p.telemetry.Log.WarnContext(ctx, "an act is in the audit that was not done", "act", act.GetActId(), "error", told)
	}
	return err
}

// actReason is the longest reason of an act, in bytes.
const actReason = 1000

// recordAct writes an act down, or says why it must not be done.
func (m *Master) recordAct(ctx context.Context, act *masterv1.RecordActRequest) error {
	if _, err := m.audit.RecordAct(ctx, act); err != nil {
		return rpc.Error(rpc.CodeOf(err), fmt.Errorf("svc-master cannot write it down, so it is not done: %w", err))
	}
	return nil
}
