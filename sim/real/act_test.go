package real

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// TestMutesAndPausesOfComputersAreInTheAudit mutes a promise at svc-promise and pauses a computer at svc-scheduler: svc-master's audit has both, with who did it and why, and nobody does what
// it cannot write down.
func TestMutesAndPausesOfComputersAreInTheAudit(t *testing.T) {
	s := begin(t)
	ctx := t.Context()
	web := s.sample().GetInstances()[1]
	dial := func(service string) *rpc.Client {
		client, err := rpc.NewClient(rpc.Target{Address: s.address[service]}, rpc.ClientSettings{Caller: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client
	}
	toPromise, toScheduler := dial("svc-promise"), dial("svc-scheduler")
	promises := promisev1connect.NewPromiseServiceClient(toPromise.HTTP(), toPromise.BaseURL(), toPromise.Options()...)
	agendas := schedulerv1connect.NewAgendaServiceClient(toScheduler.HTTP(), toScheduler.BaseURL(), toScheduler.Options()...)
	audit := masterv1connect.NewAuditServiceClient(s.client.HTTP(), s.client.BaseURL(), s.client.Options()...)

	mute := &promisev1.MutePromiseRequest{AllocationId: web.GetAllocationId(), Promise: "store-listens", Until: timestamppb.New(time.Now().Add(time.Hour)), Reason: "its disk is on order", By: "somebody"}
	pause := &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_Computer{Computer: "laptop"}, Duration: durationpb.New(time.Hour), Reason: "a new disk"}
	s.master.kill9()
	if _, err := promises.MutePromise(ctx, mute); err == nil || !strings.Contains(err.Error(), "cannot write it down") {
		t.Errorf("a mute while svc-master is gone: %v", err)
	}
	if _, err := agendas.Pause(ctx, pause); err == nil || !strings.Contains(err.Error(), "cannot write it down") {
		t.Errorf("a pause of a computer while svc-master is gone: %v", err)
	}
	if listed, err := promises.ListMutes(ctx, &promisev1.ListMutesRequest{}); err != nil || len(listed.GetMutes()) != 0 {
		t.Errorf("what nobody wrote down is muted: %v, %v", listed, err)
	}
	s.master.start()

	await(t, "a mute is written down", func() bool {
		_, err := promises.MutePromise(ctx, mute)
		return err == nil
	})
	if _, err := promises.UnmutePromise(ctx, &promisev1.UnmutePromiseRequest{AllocationId: mute.GetAllocationId(), Promise: mute.GetPromise(), Reason: "it came", By: "somebody"}); err != nil {
		t.Error(err)
	}
	await(t, "a pause is written down", func() bool {
		_, err := agendas.Pause(ctx, pause)
		return err == nil
	})
	if _, err := agendas.Resume(ctx, &schedulerv1.ResumeRequest{Target: &schedulerv1.ResumeRequest_Computer{Computer: "laptop"}}); err != nil {
		t.Error(err)
	}
	mute.AllocationId = "t000000000000.a1"
	if _, err := promises.MutePromise(ctx, mute); !rpc.IsNotFound(err) {
		t.Errorf("a mute of an allocation that there never was: %v, want NOT_FOUND", err)
	}

	listed, err := audit.ListAudit(ctx, &masterv1.ListAuditRequest{By: "ann", Kinds: []masterv1.AuditKind{
		masterv1.AuditKind_AUDIT_KIND_PROMISE_MUTED, masterv1.AuditKind_AUDIT_KIND_PROMISE_UNMUTED, masterv1.AuditKind_AUDIT_KIND_COMPUTER_PAUSED, masterv1.AuditKind_AUDIT_KIND_COMPUTER_RESUMED,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range listed.GetEntries() {
		told = append([]string{e.GetKind().String()}, told...)
		if e.GetAddress() == "" || e.GetComputer() != "laptop" || e.GetOutcome() != "" {
			t.Errorf("entry %v, want the caller's address and the computer, and no failure", e)
		}
	}
	if want := "AUDIT_KIND_PROMISE_MUTED AUDIT_KIND_PROMISE_UNMUTED AUDIT_KIND_COMPUTER_PAUSED AUDIT_KIND_COMPUTER_RESUMED"; strings.Join(told, " ") != want {
		t.Fatalf("the audit tells %v, want %s", told, want)
	}
	muted, paused := listed.GetEntries()[3], listed.GetEntries()[1]
	if muted.GetAllocationId() != web.GetAllocationId() || muted.GetTitle() != web.GetTitle() || len(muted.GetChanges()) != 1 || muted.GetChanges()[0] != "promise store-listens" ||
		!strings.HasSuffix(muted.GetReason(), ": its disk is on order") || !strings.HasSuffix(paused.GetReason(), ": a new disk") {
		t.Errorf("the audit tells %v and %v", muted, paused)
	}
}
