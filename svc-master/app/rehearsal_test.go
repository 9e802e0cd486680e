package app_test

import (
	"fmt"
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

func rehearsal(r *masterv1.Rehearsal) string {
	var lines []string
	for _, e := range r.GetEntries() {
		lines = append(lines, strings.ToLower(strings.TrimPrefix(e.GetKind().String(), "AUDIT_KIND_"))+" "+e.GetTitle()+" "+strings.Join(e.GetChanges(), ","))
	}
	for _, p := range r.GetPlaces() {
		lines = append(lines, fmt.Sprintf("place %s %s/%s %s", p.GetTitle(), p.GetComputer(), p.GetPartition(), p.GetReason()))
		for _, e := range p.GetElsewhere() {
			lines = append(lines, "not "+e.GetComputer()+": "+e.GetWhy())
		}
	}
	for _, run := range r.GetRuns() {
		lines = append(lines, fmt.Sprintf("run %s %s/%s %s", run.GetTitle(), run.GetComputer(), run.GetPartition(), strings.ToLower(strings.TrimPrefix(run.GetCause().String(), "CAUSE_"))))
	}
	return strings.Join(lines, "\n")
}

// A dry run says what a request and a bang would do, and leaves no trace: the store is, byte by byte, as it was.
func TestADryRunTellsAndWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 2)
		m.register("two", 1)
		try := func(req *masterv1.RequestInstanceRequest) *masterv1.RequestInstanceResponse {
			t.Helper()
			req.DryRun = true
			before := m.stored()
			res := must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), req))
			if m.stored() != before {
				t.Errorf("a dry run of %v wrote something", req)
			}
			return res
		}
		says := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
			}
		}
		wanted := func() *masterv1.RequestInstanceRequest {
			return &masterv1.RequestInstanceRequest{Title: "web", SoftwareRelease: release, Parameters: map[string]string{"port": "80"}}
		}
		res := try(wanted())
		says("a new root", rehearsal(res.GetRehearsal()), `requested web parameter port
place web one/slappart0 its run would wait until the software release is available there
not two: it fits too, but one is emptier, or has more free partitions, or comes first by name
run web one/slappart0 changed`)
		if res.GetReady() || res.GetInstance().GetTitle() != "web" || res.GetInstance().GetAllocationId() != "" {
			t.Errorf("it would be %v", res)
		}
		needy := wanted()
		needy.Sla = &masterv1.Sla{Group: "ssd"}
		says("one that fits nowhere", rehearsal(try(needy).GetRehearsal()), `requested web parameter port
place web / one is not of group "ssd", two is not of group "ssd"
not one: one is not of group "ssd"
not two: two is not of group "ssd"`)

		web := must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), wanted())).GetInstance()
		m.run(web)
		db := m.request(web.GetInstanceId(), "db").GetInstance()
		m.run(db)
		says("the same again", rehearsal(try(wanted()).GetRehearsal()), "")
		other := wanted()
		other.Parameters = map[string]string{"port": "81", "host": "x"}
		other.State = typev1.RequestedState_REQUESTED_STATE_STOPPED
		says("other parameters and another state", rehearsal(try(other).GetRehearsal()), `changed web parameter host,parameter port
stopped web 
run web one/slappart0 changed
run db one/slappart1 changed`)
		gone := wanted()
		gone.State = typev1.RequestedState_REQUESTED_STATE_DESTROYED
		says("a destruction", rehearsal(try(gone).GetRehearsal()), `destroyed web 
run web one/slappart0 changed
run db one/slappart1 changed`)

		before := m.stored()
		bang := must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			RequestId: "b", DryRun: true, Target: &masterv1.BangRequest_Computer{Computer: "one"}, Origin: typev1.BangOrigin_BANG_ORIGIN_COMPUTER, Source: "ann",
		})).GetResults()
		if len(bang) != 1 || bang[0].GetOutcome() != masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED || bang[0].GetBangId() != web.GetTreeId()+".b1" {
			t.Errorf("the bang would be %v", bang)
		}
		says("a bang", rehearsal(bang[0].GetRehearsal()), `banged web 
run web one/slappart0 bang
run db one/slappart1 bang`)
		if m.stored() != before {
			t.Error("a dry run of a bang wrote something")
		}
		if _, err := m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			DryRun: true, Target: &masterv1.BangRequest_AllocationId{AllocationId: web.GetAllocationId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS, Source: "httpd",
		}); rpc.CodeOf(err) != rpc.CodeInvalidArgument {
			t.Errorf("a dry run of what a machine noticed gives %v", err)
		}
		missing := wanted()
		missing.Title, missing.State, missing.DryRun = "none", typev1.RequestedState_REQUESTED_STATE_DESTROYED, true
		if _, err := m.instances.RequestInstance(t.Context(), missing); rpc.CodeOf(err) != rpc.CodeNotFound {
			t.Errorf("a dry run of destroying nothing gives %v", err)
		}
	})
}
