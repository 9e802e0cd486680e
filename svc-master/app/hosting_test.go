package app_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// share requests a shared root.
func (m *master) share(title, backend string, state typev1.RequestedState) *masterv1.RequestInstanceResponse {
	m.t.Helper()
	res := must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(m.t.Context(), &masterv1.RequestInstanceRequest{
		Title: title, SoftwareRelease: release, Shared: true, Parameters: map[string]string{"backend": backend}, State: state,
	}))
	synctest.Wait()
	return res
}

// hosted is what the host's desired state lists.
func (m *master) hosted(computer string) string {
	m.t.Helper()
	var told []string
	for _, p := range must[*masterv1.GetDesiredResponse](m)(m.desired.GetDesired(m.t.Context(), &masterv1.GetDesiredRequest{Computer: computer})).GetPartitions() {
		for _, h := range p.GetHosted() {
			told = append(told, fmt.Sprint(h.GetTitle(), " ", h.GetParameters()["backend"], " ", h.GetConnectionParameters()["url"]))
		}
	}
	return strings.Join(told, ", ")
}

// serve has the host run, and publish a URL for each shared instance that it is told of.
func (m *master) serve(host *masterv1.Instance, result typev1.RunResult) {
	m.t.Helper()
	runID, begun := m.begin(host, typev1.Cause_CAUSE_CHANGED)
	for _, h := range begun.GetDesired().GetHosted() {
		must[*masterv1.SetConnectionParametersResponse](m)(m.instances.SetConnectionParameters(m.t.Context(), &masterv1.SetConnectionParametersRequest{
			AllocationId: host.GetAllocationId(), Token: begun.GetToken(), SharedInstanceId: h.GetInstanceId(), ConnectionParameters: map[string]string{"url": "http://" + h.GetParameters()["backend"]},
		}))
	}
	m.report(host, runID, begun.GetToken(), result)
	synctest.Wait()
}

func (m *master) isShared(id, colour, reason, url string) {
	m.t.Helper()
	i := m.instance(id)
	got := []string{short(i.GetStatus().GetColour()), i.GetUnallocatedReason() + i.GetUnservedReason(), i.GetConnectionParameters()["url"]}
	if !strings.HasPrefix(got[0], colour) || !strings.Contains(got[1], reason) || (reason == "") != (got[1] == "") || got[2] != url {
		m.t.Errorf("%s is %q, want %s, %q, %q", i.GetTitle(), got, colour, reason, url)
	}
}

// A shared instance of one tree is served by an instance of another one: each is told what the other says, and a host that goes leaves it to another.
func TestASharedInstanceIsServedByAnInstanceOfAnotherTree(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 3)
		early := m.share("early", "e", 0)
		if early.GetReady() || !strings.Contains(early.GetReason(), "no instance of software release "+release+", type default, has a partition") {
			t.Fatalf("without a host: %v", early)
		}
		front := m.request("", "front").GetInstance()
		m.run(front)
		time.Sleep(time.Second) // what waits is looked at again when a computer changed
		if got := m.hosted("one"); got != "early e " {
			t.Fatalf("the host is told of %q", got)
		}
		id := early.GetInstance().GetInstanceId()
		m.isShared(id, "red", "has not run since its last change", "")
		m.serve(front, typev1.RunResult_RUN_RESULT_SUCCESS)
		m.isShared(id, "green", "", "http://e")
		if got := m.instance(front.GetInstanceId()); got.GetHosted() != 1 || m.instance(id).GetHostId() != front.GetInstanceId() {
			t.Fatalf("the host is %v", got)
		}

		m.share("early", "f", 0)
		m.isShared(id, "green", "has not run since its last change", "http://e")
		m.serve(front, typev1.RunResult_RUN_RESULT_FAILURE)
		m.isShared(id, "red", "is Red: run failed", "http://f")
		m.serve(front, typev1.RunResult_RUN_RESULT_SUCCESS)
		m.isShared(id, "green", "", "http://f")

		m.share("late", "l", typev1.RequestedState_REQUESTED_STATE_STOPPED)
		if got := m.hosted("one"); got != "early f http://f" {
			t.Fatalf("the host is told of %q", got)
		}
		m.share("late", "l", typev1.RequestedState_REQUESTED_STATE_STARTED)
		if got := m.hosted("one"); got != "early f http://f, late l " {
			t.Fatalf("the host is told of %q", got)
		}
		all := must[*masterv1.ListInstancesResponse](m)(m.instances.ListInstances(t.Context(), &masterv1.ListInstancesRequest{Of: &masterv1.ListInstancesRequest_HostId{HostId: front.GetInstanceId()}})).GetInstances()
		if len(all) != 2 || all[0].GetTitle() != "early" || all[1].GetTitle() != "late" || !all[1].GetShared() {
			t.Fatalf("it lists %v", all)
		}
		m.share("late", "", typev1.RequestedState_REQUESTED_STATE_DESTROYED)
		if got := m.hosted("one"); got != "early f http://f" {
			t.Fatalf("after the destruction the host is told of %q", got)
		}

		// Time alone turns the host Red; within a minute or two its shared instances say so.
		time.Sleep(time.Hour + 4*time.Minute)
		m.isShared(id, "red", "no result for", "http://f")

		must[*masterv1.SetInstanceStateResponse](m)(m.instances.SetInstanceState(t.Context(), &masterv1.SetInstanceStateRequest{InstanceId: front.GetInstanceId(), State: typev1.RequestedState_REQUESTED_STATE_DESTROYED}))
		synctest.Wait()
		m.isShared(id, "gone", "no instance of software release", "http://f")
		other := m.request("", "other").GetInstance()
		m.run(other)
		time.Sleep(time.Second)
		m.serve(other, typev1.RunResult_RUN_RESULT_SUCCESS)
		m.isShared(id, "green", "", "http://f")

		audit := m.auditOf(&masterv1.ListAuditRequest{TreeId: early.GetInstance().GetTreeId()})
		for _, line := range []string{"bob: requested early", "placement: allocated early", "hosting: published early [connection parameter url]", "bob: changed early [parameter backend]", "hosting: freed early"} {
			if !strings.Contains(audit, line) {
				t.Errorf("the audit does not say %q:\n%s", line, audit)
			}
		}
	})
}

// What a shared instance publishes wakes its requester when, and only when, it differs.
func TestARequesterIsWokenByWhatIsPublishedForItsSharedInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 3)
		front, site := m.request("", "front").GetInstance(), m.request("", "site").GetInstance()
		m.run(front)
		m.run(site)
		must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			RequesterId: site.GetInstanceId(), Title: "www", SoftwareRelease: release, Shared: true, Parameters: map[string]string{"backend": "b"}, Sla: &masterv1.Sla{HostId: front.GetInstanceId()},
		}))
		synctest.Wait()
		wanted := func() uint64 { return m.instance(site.GetInstanceId()).GetStatus().GetWanted().GetNumber() }
		before := wanted()
		m.serve(front, typev1.RunResult_RUN_RESULT_SUCCESS)
		after := wanted()
		m.serve(front, typev1.RunResult_RUN_RESULT_SUCCESS)
		if after == before || wanted() != after {
			t.Errorf("the requester was wanted at %d, at %d when its shared instance got a URL, and at %d when it got the same", before, after, wanted())
		}
	})
}
