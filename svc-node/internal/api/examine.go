package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
)

// examineWithin bounds what a service finds out about itself; whoever asks waits longer.
const examineWithin = 3 * time.Second

var _ examinev1connect.ExamineServiceHandler = (*Node)(nil)

// Examine tells how the agent and its machine are.
func (n *Node) Examine(ctx context.Context, _ *examinev1.ExamineRequest) (*examinev1.ExamineResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	answer := &examinev1.ExamineResponse{Service: "svc-node", Version: n.agent.Status().GetVersion()}
	for _, c := range n.agent.Examine(ctx) {
		answer.Checks = append(answer.Checks, &examinev1.Check{Name: c.Name, Verdict: examinev1.Verdict(c.Level), Found: c.Found, Advice: c.Advice})
	}
	answer.Now = timestamppb.Now()
	return answer, nil
}
