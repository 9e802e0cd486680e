package app_test

import (
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// A run that lasts is told with its evidence: with the tree, in the list of all, and as a condition of its release; and no more when a short one follows.
func TestALongRunIsACrimeOfItsPartitionAndAConditionOfItsRelease(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		root := m.family()[0]
		list := func(r *masterv1.ListRunCrimesRequest) *masterv1.ListRunCrimesResponse {
			return must[*masterv1.ListRunCrimesResponse](m)(m.trees.ListRunCrimes(t.Context(), r))
		}
		runID, begun := m.begin(root, typev1.Cause_CAUSE_CHANGED)
		time.Sleep(90 * time.Second) // virtual
		all := list(&masterv1.ListRunCrimesRequest{})
		if len(all.GetCrimes()) != 1 || len(all.GetReleases()) != 1 {
			t.Fatalf("crimes %v, want one, and of one release", all)
		}
		c := all.GetCrimes()[0]
		if c.GetCrime() != typev1.MonitoringCrime_MONITORING_CRIME_LONG_RUN || c.GetRunId() != runID || c.GetDurationSeconds() != 90 || c.GetAllocationId() != root.GetAllocationId() ||
			c.GetTreeId() != root.GetTreeId() || c.GetSoftwareRelease() != release || c.GetSeen().AsTime().Sub(c.GetSince().AsTime()) != 90*time.Second || c.GetEvidence() == "" {
			t.Errorf("the crime is %v", c)
		}
		if r := all.GetReleases()[0]; r.GetSoftwareRelease() != release || r.GetCount() != 1 || r.GetPartitions() != 1 || r.GetEvidence() != c.GetEvidence() {
			t.Errorf("the condition of the release is %v", r)
		}
		tree := m.tree(root.GetTreeId())
		if len(tree.GetCrimes()) != 1 || len(tree.GetConditions()) != 1 || tree.GetConditions()[0] != "monitoring crime: "+c.GetEvidence() {
			t.Errorf("the tree tells %v, %q", tree.GetCrimes(), tree.GetConditions())
		}
		for want, r := range map[int]*masterv1.ListRunCrimesRequest{
			1: {TreeId: root.GetInstanceId(), SoftwareRelease: release}, 0: {TreeId: root.GetTreeId(), SoftwareRelease: release + "-other"},
		} {
			if got := list(r); len(got.GetCrimes()) != want || len(got.GetReleases()) != want {
				t.Errorf("of %v: %v", r, got)
			}
		}
		if _, err := m.trees.ListRunCrimes(t.Context(), &masterv1.ListRunCrimesRequest{TreeId: "tnothing00000"}); err == nil {
			t.Error("a tree that does not exist has crimes")
		}
		m.report(root, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
		time.Sleep(time.Minute) // virtual
		m.run(root)
		if got := list(&masterv1.ListRunCrimesRequest{}); len(got.GetCrimes()) != 0 {
			t.Errorf("after a short run the crimes are %v", got)
		}
	})
}
