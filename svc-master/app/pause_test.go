package app_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// Once PauseTree answered, no run of the tree begins until the pause ends; its node, whoever follows the feed, and who asks what is blocked are told of it.
func TestAPausedTreeBeginsNoRun(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		instances := m.family()
		root := instances[0]
		w := m.watch("one")
		w.all()
		before := m.tree(root.GetTreeId())
		pause := must[*masterv1.PauseTreeResponse](m)(m.trees.PauseTree(t.Context(), &masterv1.PauseTreeRequest{
			TreeId: root.GetAllocationId(), Duration: durationpb.New(time.Hour), Reason: "new disk", By: "ann@desk",
		})).GetPause()
		if got := pause.GetUntil().AsTime().Sub(pause.GetAt().AsTime()); got != time.Hour || pause.GetBy() != "ann@desk" {
			t.Fatalf("the pause is %v", pause)
		}
		tree := m.tree(root.GetTreeId())
		if tree.GetPause().GetReason() != "new disk" || tree.GetColour().GetColour() != before.GetColour().GetColour() || !strings.HasPrefix(tree.GetConditions()[0], "paused until ") {
			t.Fatalf("the paused tree is %v", tree)
		}
		told, _, _ := w.all()
		if len(told) != 3 || told[0].GetPause().GetUntil().AsTime() != pause.GetUntil().AsTime() {
			t.Fatalf("its node is told %v", told)
		}
		known := &masterv1.Known{Partition: told[0].GetPartition(), AllocationId: told[0].GetAllocationId(), Generation: told[0].GetGeneration()}
		if again := must[*masterv1.GetDesiredResponse](m)(m.desired.GetDesired(t.Context(), &masterv1.GetDesiredRequest{Computer: "one", Known: []*masterv1.Known{known}})); len(again.GetPartitions()) != 3 {
			t.Fatalf("a node that was away and does not know of the pause is told %v", again)
		}
		known.Pause = told[0].GetPause().GetGeneration()
		if again := must[*masterv1.GetDesiredResponse](m)(m.desired.GetDesired(t.Context(), &masterv1.GetDesiredRequest{Computer: "one", Known: []*masterv1.Known{known}})); len(again.GetPartitions()) != 2 {
			t.Fatalf("a node that knows of the pause is told %v", again)
		}
		allocations := must[*masterv1.ListAllocationsResponse](m)(m.feed.ListAllocations(t.Context(), &masterv1.ListAllocationsRequest{TreeIds: []string{root.GetTreeId()}})).GetAllocations()
		if allocations[0].GetPause().GetGeneration() == nil || allocations[0].GetMembership() <= 0 {
			t.Fatalf("who follows the feed reads %v", allocations[0])
		}

		bang := must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			Target: &masterv1.BangRequest_TreeId{TreeId: root.GetTreeId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "me", RequestId: "b1",
		})).GetResults()[0]
		_, err := m.runs.BeginRun(t.Context(), &masterv1.BeginRunRequest{
			Computer: "one", Partition: root.GetPartition(), AllocationId: root.GetAllocationId(), RunId: "run-of-an-old-order", Cause: typev1.Cause_CAUSE_BANG, Attempt: 1,
		})
		if rpc.CodeOf(err) != rpc.CodeFailedPrecondition || !strings.Contains(err.Error(), "by ann@desk: new disk") {
			t.Fatalf("a run of a paused tree began: %v", err)
		}
		c := must[*masterv1.GetConvergenceResponse](m)(m.converge.GetConvergence(t.Context(), &masterv1.GetConvergenceRequest{Id: bang.GetBangId()})).GetConvergence()
		if blocker := c.GetMembers()[0].GetBlocker(); !strings.HasPrefix(blocker, "paused until ") {
			t.Fatalf("what the bang waits for is %q", blocker)
		}
		must[*masterv1.ResumeTreeResponse](m)(m.trees.ResumeTree(t.Context(), &masterv1.ResumeTreeRequest{TreeId: root.GetTreeId(), By: "bob@desk"}))
		if told, _, _ := w.all(); len(told) == 0 || told[0].GetPause().GetUntil() != nil {
			t.Fatalf("the end of the pause is told to the node as %v", told)
		}
		for _, i := range instances {
			m.run(i)
		}
		if got := m.tree(root.GetTreeId()); got.GetPause() != nil || got.GetConvergenceId() != "" {
			t.Fatalf("after the pause the tree is %v", got)
		}
		if _, err := m.trees.PauseTree(t.Context(), &masterv1.PauseTreeRequest{TreeId: "tnothere"}); rpc.CodeOf(err) != rpc.CodeNotFound {
			t.Fatalf("a tree that is not there is paused: %v", err)
		}
	})
}

// A convergence that somebody gives up is abandoned with the reason, once; one that has ended stays as it ended.
func TestAConvergenceIsAbandonedByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		root := m.family()[0]
		bang := must[*masterv1.BangResponse](m)(m.bangs.Bang(t.Context(), &masterv1.BangRequest{
			Target: &masterv1.BangRequest_TreeId{TreeId: root.GetTreeId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "me", RequestId: "b1",
		})).GetResults()[0]
		for _, reason := range []string{"the disk is on order", "another reason"} {
			c := must[*masterv1.AbandonConvergenceResponse](m)(m.converge.AbandonConvergence(t.Context(), &masterv1.AbandonConvergenceRequest{Id: bang.GetBangId(), Reason: reason, By: "ann@desk"})).GetConvergence()
			if c.GetState() != masterv1.ConvergenceState_CONVERGENCE_STATE_ABANDONED || c.GetReason() != "by hand by ann@desk: the disk is on order" || len(c.GetMembers()) != 3 {
				t.Fatalf("the abandoned convergence is %v", c)
			}
		}
		if got := m.tree(root.GetTreeId()).GetConvergenceId(); got != "" {
			t.Fatalf("convergence %s is open", got)
		}
		if _, err := m.converge.AbandonConvergence(t.Context(), &masterv1.AbandonConvergenceRequest{Id: root.GetTreeId() + ".c99"}); rpc.CodeOf(err) != rpc.CodeNotFound {
			t.Fatalf("a convergence that is not there is abandoned: %v", err)
		}
	})
}

// Who paused a tree, and who ended the pause, is in the audit, as is until when and why; what changes nothing is not.
func TestPausesAreInTheAudit(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		id := m.request("", "shop").GetInstance().GetTreeId()
		must[*masterv1.PauseTreeResponse](m)(m.trees.PauseTree(t.Context(), &masterv1.PauseTreeRequest{TreeId: id, Duration: durationpb.New(time.Hour), Reason: "new disk"}))
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		for range 2 { // the second ends nothing
			must[*masterv1.ResumeTreeResponse](m)(m.trees.ResumeTree(t.Context(), &masterv1.ResumeTreeRequest{TreeId: id}))
		}
		entries := must[*masterv1.ListAuditResponse](m)(m.audit.ListAudit(t.Context(), &masterv1.ListAuditRequest{Kinds: []masterv1.AuditKind{
			masterv1.AuditKind_AUDIT_KIND_PAUSED, masterv1.AuditKind_AUDIT_KIND_RESUMED,
		}})).GetEntries()
		if len(entries) != 2 {
			t.Fatalf("the audit tells %v", entries)
		}
		for i, want := range []string{"it was paused until " + until + ": new disk", "until " + until + ": new disk"} {
			if e := entries[i]; e.GetReason() != want || e.GetBy() != "bob" || e.GetTitle() != "shop" || e.GetTreeId() != id {
				t.Errorf("entry %d is %v, want %s", i, e, want)
			}
		}
	})
}
