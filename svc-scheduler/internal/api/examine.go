package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	"github.com/vow-os/vow/kit/examine"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/telemetry"
)

// examineWithin bounds what a service finds out about itself; whoever asks waits longer.
const examineWithin = 3 * time.Second

// examination is the handler of ExamineService.
type examination struct {
	service, version string
	checks           func(context.Context) []examine.Check
}

var _ examinev1connect.ExamineServiceHandler = (*examination)(nil)

// Examine tells how this service is.
func (e *examination) Examine(ctx context.Context, _ *examinev1.ExamineRequest) (*examinev1.ExamineResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	answer := &examinev1.ExamineResponse{Service: e.service, Version: e.version}
	for _, c := range e.checks(ctx) {
		answer.Checks = append(answer.Checks, &examinev1.Check{Name: c.Name, Verdict: examinev1.Verdict(c.Level), Found: c.Found, Advice: c.Advice})
	}
	answer.Now = timestamppb.Now()
	return answer, nil
}

// RegisterExamination puts ExamineService on a server.
func RegisterExamination(s *rpc.Server, t *telemetry.Telemetry, store *store.Store) {
	s.Handle(examinev1connect.NewExamineServiceHandler(&examination{service: t.Service, version: t.Version, checks: store.Examine}, s.HandlerOptions()...))
}
