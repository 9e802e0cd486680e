package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// auditOf is what the audit says, oldest first, a line each.
func (m *master) auditOf(req *masterv1.ListAuditRequest) string {
	m.t.Helper()
	var lines []string
	for _, e := range must[*masterv1.ListAuditResponse](m)(m.audit.ListAudit(m.t.Context(), req)).GetEntries() {
		by := e.GetBy()
		if e.GetActor() == masterv1.AuditActor_AUDIT_ACTOR_INSTANCE {
			by = "run of " + m.titleOf(by)
		}
		line := fmt.Sprintf("%s: %s %s%s", by, strings.ToLower(strings.TrimPrefix(e.GetKind().String(), "AUDIT_KIND_")), e.GetTitle(), e.GetComputer())
		if e.GetInstanceId() != "" {
			line = fmt.Sprintf("%s: %s %s", by, strings.ToLower(strings.TrimPrefix(e.GetKind().String(), "AUDIT_KIND_")), e.GetTitle())
		}
		if len(e.GetChanges()) > 0 {
			line += " [" + strings.Join(e.GetChanges(), ", ") + "]"
		}
		lines = append([]string{line}, lines...)
	}
	return strings.Join(lines, "\n")
}

func (m *master) titleOf(instanceID string) string { return m.instance(instanceID).GetTitle() }

// The audit names who asked and what svc-master did by itself: placing, collecting what no run requests any more, emptying a computer.
func TestTheAuditTellsPeopleRunsAndSvcMasterApart(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 3)
		web := must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			Title: "web", SoftwareRelease: release, Parameters: map[string]string{"password": "hunter2"}, Sla: &masterv1.Sla{MayMove: true},
		})).GetInstance()
		runID, begun := m.begin(web, typev1.Cause_CAUSE_CHANGED)
		must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			RequesterId: web.GetInstanceId(), RequesterAllocationId: web.GetAllocationId(), RequesterToken: begun.GetToken(), Title: "db", SoftwareRelease: release,
		}))
		must[*masterv1.SetConnectionParametersResponse](m)(m.instances.SetConnectionParameters(t.Context(), &masterv1.SetConnectionParametersRequest{
			AllocationId: web.GetAllocationId(), Token: begun.GetToken(), ConnectionParameters: map[string]string{"url": "https://hunter2@example.com"},
		}))
		end := report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
		must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(t.Context(), end))
		runID, begun = m.begin(web, typev1.Cause_CAUSE_PERIODICITY)
		end = report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
		end.Requested = &masterv1.RequestedByRun{} // nothing any more
		must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(t.Context(), end))
		must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			RequestId: "b", Target: &masterv1.BangRequest_TreeId{TreeId: web.GetTreeId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "ann",
		}))
		must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			Target: &masterv1.BangRequest_AllocationId{AllocationId: web.GetAllocationId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS, Source: "httpd",
		}))
		must[*masterv1.EvictComputerResponse](m)(m.computers.EvictComputer(t.Context(), &masterv1.EvictComputerRequest{Computer: "one", Force: true, By: "ann", Reason: "fire"}))
		want := `bob: requested web [parameter password]
placement: allocated web
run of web: requested db
placement: allocated db
run of web: published web [connection parameter url]
garbage collection: destroyed db
bob: banged web
eviction: evicted web`
		if got := m.auditOf(&masterv1.ListAuditRequest{TreeId: web.GetInstanceId()}); got != want {
			t.Errorf("the audit of the tree is\n%s\nwant\n%s", got, want)
		}
		want = `bob: computer_registered one [periodicity, cpus, partition slappart0, partition slappart1, partition slappart2]
bob: software_supplied one
bob: computer_evicted one`
		if got := m.auditOf(&masterv1.ListAuditRequest{Computer: "one", Kinds: []masterv1.AuditKind{
			masterv1.AuditKind_AUDIT_KIND_COMPUTER_REGISTERED, masterv1.AuditKind_AUDIT_KIND_COMPUTER_EVICTED, masterv1.AuditKind_AUDIT_KIND_SOFTWARE_SUPPLIED,
		}}); got != want {
			t.Errorf("the audit of the computer is\n%s\nwant\n%s", got, want)
		}
		if _, err := m.audit.ListAudit(t.Context(), &masterv1.ListAuditRequest{PageToken: "x"}); rpc.CodeOf(err) != rpc.CodeInvalidArgument {
			t.Errorf("a page token that names nothing gives %v", err)
		}
		all := must[*masterv1.ListAuditResponse](m)(m.audit.ListAudit(t.Context(), &masterv1.ListAuditRequest{}))
		if strings.Contains(all.String(), "hunter2") {
			t.Errorf("a secret is in %v", all)
		}
	})
}

// What other services are about to do is written down once for each act, whatever is repeated; of what there is not, nothing.
func TestAnActOfAnotherServiceIsWrittenDownOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		web := m.request("", "web").GetInstance()
		mute := &masterv1.RecordActRequest{
			ActId: "a", Kind: masterv1.AuditKind_AUDIT_KIND_PROMISE_MUTED, Target: &masterv1.RecordActRequest_AllocationId{AllocationId: web.GetAllocationId()}, Promise: "listens", By: "ann", Address: "192.0.2.1:1",
		}
		failed := &masterv1.RecordActRequest{ActId: "a-failed", Kind: mute.GetKind(), Target: mute.GetTarget(), Promise: "listens", By: "ann", Failed: true}
		pause := &masterv1.RecordActRequest{
			ActId: "a", Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_PAUSED, Target: &masterv1.RecordActRequest_Computer{Computer: "one"}, Reason: "a new disk", By: "ann",
		}
		for _, act := range []*masterv1.RecordActRequest{mute, mute, failed, pause, pause, mute} {
			must[*masterv1.RecordActResponse](m)(m.audit.RecordAct(t.Context(), act))
			time.Sleep(time.Second)
		}
		want := `ann: promise_muted web [promise listens]
ann: promise_muted web [promise listens]
ann: computer_paused one`
		if got := m.auditOf(&masterv1.ListAuditRequest{By: "ann"}); got != want {
			t.Errorf("the audit is\n%s\nwant\n%s", got, want)
		}
		entries := must[*masterv1.ListAuditResponse](m)(m.audit.ListAudit(t.Context(), &masterv1.ListAuditRequest{TreeId: web.GetTreeId(), By: "ann"})).GetEntries()
		if entries[1].GetOutcome() != "" || entries[0].GetOutcome() != "failed" || entries[1].GetAddress() != "192.0.2.1:1" || entries[1].GetPartition() != "slappart0" {
			t.Errorf("the entries are %v", entries)
		}
		for code, act := range map[rpc.Code]*masterv1.RecordActRequest{
			rpc.CodeNotFound:        {ActId: "b", Kind: pause.GetKind(), Target: &masterv1.RecordActRequest_Computer{Computer: "two"}},
			rpc.CodeInvalidArgument: {ActId: "b", Kind: pause.GetKind(), Target: mute.GetTarget()},
		} {
			if _, err := m.audit.RecordAct(t.Context(), act); rpc.CodeOf(err) != code {
				t.Errorf("%v gives %v, want %s", act, err, code)
			}
		}
	})
}
