package app_test

import (
	"fmt"
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// A computer whose partitions have more parameters together than one message may hold is told of all of them.
func TestAComputerWithManyParametersIsToldInPieces(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		const count = 80
		m.register("one", count)
		root := m.request("", "shop").GetInstance()
		for n := range count - 1 {
			must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
				RequesterId: root.GetInstanceId(), Title: fmt.Sprint("db", n), SoftwareRelease: release, Parameters: map[string]string{"big": strings.Repeat("x", 63<<10)},
			}))
		}
		partitions, _, software := m.watch("one").all()
		if len(partitions) != count || !software {
			t.Fatalf("%d partitions are told, want %d; software %v", len(partitions), count, software)
		}
	})
}

// Whoever follows reads thousands of allocations at once: the texts of their errors stay behind.
func TestAllocationsLeaveOutTheTextsOfErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		root := m.request("", "shop").GetInstance()
		runID, begun := m.begin(root, typev1.Cause_CAUSE_CHANGED)
		failed := report(root, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_FAILURE)
		failed.Error, failed.ErrorType = strings.Repeat("x", 16<<10), "profile"
		must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(t.Context(), failed))
		list := must[*masterv1.ListAllocationsResponse](m)(m.feed.ListAllocations(t.Context(), &masterv1.ListAllocationsRequest{Computers: []string{"one"}}))
		latest := list.GetAllocations()[0].GetLatest()
		if latest.GetErrorType() != "profile" || latest.GetError() != "" {
			t.Fatalf("the latest run is told as %v", latest)
		}
	})
}

// A tree of which much fails can still be read, with the end of each error.
func TestATreeOfWhichMuchFailsCanBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		const count = 300
		m.register("one", count)
		root := m.request("", "shop").GetInstance()
		for n := range count - 1 {
			m.request(root.GetInstanceId(), fmt.Sprint("db", n))
		}
		for _, i := range m.tree(root.GetTreeId()).GetInstances() {
			runID, begun := m.begin(i, typev1.Cause_CAUSE_CHANGED)
			failed := report(i, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_FAILURE)
			failed.Error = strings.Repeat("x", 16<<10-3) + "end"
			must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(t.Context(), failed))
		}
		listed := must[*masterv1.ListInstancesResponse](m)(m.instances.ListInstances(t.Context(), &masterv1.ListInstancesRequest{Of: &masterv1.ListInstancesRequest_Computer{Computer: "one"}}))
		for _, all := range [][]*masterv1.Instance{m.tree(root.GetTreeId()).GetInstances(), listed.GetInstances()} {
			for _, i := range all {
				if text := i.GetStatus().GetLatest().GetError(); !strings.HasSuffix(text, "end") {
					t.Fatalf("the error of %q is %q", i.GetTitle(), text)
				}
			}
			if first := all[0].GetStatus().GetLatest().GetError(); len(all) != count || len(first) != 16<<10 {
				t.Fatalf("%d instances, the first error has %d bytes", len(all), len(first))
			}
		}
	})
}

// The report of a destruction ends the allocation; sent again after a lost answer it gets that answer all the same.
func TestARepeatedReportOfADestructionGetsItsFirstAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		root := m.family()[0]
		web := m.tree(root.GetTreeId()).GetInstances()[2]
		must[*masterv1.SetInstanceStateResponse](m)(m.instances.SetInstanceState(t.Context(), &masterv1.SetInstanceStateRequest{
			InstanceId: web.GetInstanceId(), State: typev1.RequestedState_REQUESTED_STATE_DESTROYED,
		}))
		runID, begun := m.begin(web, typev1.Cause_CAUSE_CHANGED)
		first := m.report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
		again, err := m.runs.ReportRun(t.Context(), report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS))
		if err != nil || again.GetSettled().GetNumber() != first.GetSettled().GetNumber() || first.GetSettled().GetNumber() == 0 {
			t.Fatalf("the first answer is %v, the second %v, %v", first, again, err)
		}
	})
}
