package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
)

const (
	// failedTimeout bounds what is told of an act that failed: whoever asked for it waits.
	failedTimeout = 2 * time.Second
	// maxReason is the longest reason of an act, in bytes.
	maxReason = 1000
)

// Recorder has svc-master write acts down.
type Recorder struct {
	Master masterv1connect.AuditServiceClient
	// Caller is who makes the call that is handled, and its address; empty when it does not say.
	Caller func(context.Context) (name, address string)
	Log    *slog.Logger
}

// Do does an act once it is written down. The recorder sets its id, its address and, if the caller says who it is, by whom it is.
func (r *Recorder) Do(ctx context.Context, act *masterv1.RecordActRequest, do func() error) error {
	act.ActId = rand.Text()
	name, address := r.Caller(ctx)
	if act.Address = address; name != "" {
		act.By = name
	}
	if _, err := r.Master.RecordAct(ctx, act); err != nil {
		return connect.NewError(connect.CodeOf(err), fmt.Errorf("svc-master cannot write it down, so it is not done: %w", err))
	}
	err := do()
	if err == nil {
		return nil
	}
	act.ActId, act.Failed, act.Reason = act.GetActId()+"-failed", true, strings.ToValidUTF8(err.Error()[:min(len(err.Error()), maxReason)], "")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failedTimeout)
	defer cancel()
	if _, told := r.Master.RecordAct(ctx, act); told != nil {
		r.Log.WarnContext(ctx, "an act is in the audit that was not done", "act", act.GetActId(), "error", told)
	}
	return err
}
