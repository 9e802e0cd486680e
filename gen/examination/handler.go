package examination

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
)

// Within bounds what a service finds out about itself; whoever asks waits longer.
const Within = 3 * time.Second

// Check is one thing that was looked at.
type Check interface {
	// Tell has the name of what was looked at, how it is (a vow.examine.v1.Verdict), what was found, and what to do about it.
	Tell() (name string, verdict int32, found, advice string)
}

// Handler is the handler of ExamineService.
type Handler[C Check] struct {
	service, version string
	checks           func(context.Context) []C
}

var _ examinev1connect.ExamineServiceHandler = (*Handler[Check])(nil)

// New makes the handler of a service by its name; checks looks, each time it is asked.
func New[C Check](service, version string, checks func(context.Context) []C) *Handler[C] {
	return &Handler[C]{service, version, checks}
}

// Examine tells how the service is.
func (h *Handler[C]) Examine(ctx context.Context, _ *examinev1.ExamineRequest) (*examinev1.ExamineResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	answer := &examinev1.ExamineResponse{Service: h.service, Version: h.version}
	for _, c := range h.checks(ctx) {
		name, verdict, found, advice := c.Tell()
		answer.Checks = append(answer.Checks, &examinev1.Check{Name: name, Verdict: examinev1.Verdict(verdict), Found: found, Advice: advice})
	}
	answer.Now = timestamppb.Now()
	return answer, nil
}
