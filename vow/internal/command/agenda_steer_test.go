package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
)

// steered is an agenda in which one run began and another is due.
type steered struct {
	schedulerv1connect.UnimplementedAgendaServiceHandler
	asked chan any
}

func (a *steered) Pause(_ context.Context, r *schedulerv1.PauseRequest) (*schedulerv1.PauseResponse, error) {
	a.asked <- r
	return &schedulerv1.PauseResponse{Pause: &typev1.Pause{Until: timestamppb.New(time.Now().Add(r.GetDuration().AsDuration()))}}, nil
}

func (a *steered) Resume(_ context.Context, r *schedulerv1.ResumeRequest) (*schedulerv1.ResumeResponse, error) {
	a.asked <- r
	return &schedulerv1.ResumeResponse{}, nil
}

func (a *steered) Cancel(_ context.Context, r *schedulerv1.CancelRequest) (*schedulerv1.CancelResponse, error) {
	a.asked <- r
	if r.GetPartition() == "slappart1" {
		return nil, rpc.Errorf(rpc.CodeFailedPrecondition, "cannot cancel the run of laptop/slappart1: run r1 began")
	}
	return &schedulerv1.CancelResponse{Cancelled: []typev1.Cause{typev1.Cause_CAUSE_BANG, typev1.Cause_CAUSE_RETRY}, Entry: &schedulerv1.AgendaEntry{
		Computer: r.GetComputer(), Partition: r.GetPartition(), Cause: typev1.Cause_CAUSE_PERIODICITY, DueAt: timestamppb.New(time.Now().Add(time.Hour)),
	}}, nil
}

func (*fake) AbandonConvergence(_ context.Context, r *masterv1.AbandonConvergenceRequest) (*masterv1.AbandonConvergenceResponse, error) {
	return &masterv1.AbandonConvergenceResponse{Convergence: &masterv1.Convergence{
		ConvergenceId: r.GetId(), State: masterv1.ConvergenceState_CONVERGENCE_STATE_ABANDONED, Reason: "by hand: " + r.GetReason(), Members: []*masterv1.ConvergenceMember{
			{Computer: "laptop", Partition: "slappart0"}, {Computer: "laptop", Partition: "slappart1"}, {Computer: "laptop", Partition: "slappart2", Settled: true},
		},
	}}, nil
}

func steer(t *testing.T) *steered {
	t.Helper()
	serve(t)
	a := &steered{asked: make(chan any, 10)}
	t.Setenv("VOW_SCHEDULER_ADDRESS", rpctest.Loopback(t, func(s *rpc.Server) { s.Handle(schedulerv1connect.NewAgendaServiceHandler(a, s.HandlerOptions()...)) }))
	return a
}

// A tree or a computer is paused for a while and with a reason; a name that both have must say which.
func TestATreeOrAComputerIsPausedAndResumed(t *testing.T) {
	a := steer(t)
	if code, out, errOut := run(t, "agenda", "pause", "tree/hello", "--for", "2h", "--reason", "new disk"); code != exitOK || !strings.HasPrefix(out, "tree hello is paused until ") {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if r := (<-a.asked).(*schedulerv1.PauseRequest); r.GetTreeId() != "t0123456789ab" || r.GetDuration().AsDuration() != 2*time.Hour || r.GetReason() != "new disk" || r.GetBy() == "" {
		t.Errorf("it asks for %v", r)
	}
	if code, out, errOut := run(t, "agenda", "resume", "laptop"); code != exitOK || out != "computer laptop is no longer paused\n" {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if r := (<-a.asked).(*schedulerv1.ResumeRequest); r.GetComputer() != "laptop" {
		t.Errorf("it asks for %v", r)
	}
	for _, wrong := range [][]string{{"pause", "laptop", "--reason", "x"}, {"pause", "laptop", "--for", "2h"}, {"pause", "laptop", "--for", "soon", "--reason", "x"}, {"resume", "hello"}, {"cancel", "laptop"}} {
		if code, _, errOut := run(t, append([]string{"agenda"}, wrong...)...); code != exitUsage {
			t.Errorf("%v: exit %d: %s", wrong, code, errOut)
		}
	}
}

// A run is cancelled, or a convergence with the runs that its members wait for; what began is told, and is not an error of the rest.
func TestRunsAndConvergencesAreCancelled(t *testing.T) {
	a := steer(t)
	if code, out, errOut := run(t, "agenda", "cancel", "laptop/slappart0", "--reason", "hopeless"); code != exitOK || !strings.Contains(out, "laptop/slappart0: bang, retry cancelled; next run in ") {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if r := (<-a.asked).(*schedulerv1.CancelRequest); r.GetReason() != "hopeless" || r.GetRequestId() == "" || r.GetBy() == "" {
		t.Errorf("it asks for %v", r)
	}
	if code, _, errOut := run(t, "agenda", "cancel", "laptop/slappart1"); code != exitFailed || !strings.Contains(errOut, "run r1 began") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	<-a.asked
	code, out, errOut := run(t, "agenda", "cancel", "t0123456789ab.c4", "--reason", "hopeless")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"convergence t0123456789ab.c4: abandoned by hand: hopeless", "laptop/slappart0: bang, retry cancelled", "run r1 began"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if len(a.asked) != 2 {
		t.Errorf("%d runs are cancelled, want those of the 2 members that are not settled", len(a.asked))
	}
}
