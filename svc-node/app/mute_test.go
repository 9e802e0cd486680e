package app_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// What svc-promise told last holds while it is away, and across a restart of the agent, until its date.
func TestAMutedPromiseNeitherBangsNorFailsARunWhenTheNodeDecidesByItself(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		n.cut("promise")
		time.Sleep(time.Second)
		n.mu.Lock()
		n.mutes = []*promisev1.AllocationMutes{{AllocationId: "t1.a1", Mutes: []*promisev1.PromiseMute{{
			Promise: "answers", Mute: &typev1.Mute{Until: timestamppb.New(time.Now().Add(time.Hour)), Reason: "known", By: "me"},
		}}}}
		n.mu.Unlock()
		n.heal("promise")
		time.Sleep(time.Minute)
		n.cut("promise")
		n.stop()
		n.start()
		n.sensors.set("answers", "down")
		time.Sleep(30 * time.Minute)
		if got := count(n, func() []*masterv1.BangRequest { return n.bangs }); got != 0 {
			t.Fatalf("%d bangs of a muted promise", got)
		}
		n.order("slappart0", "t1.a1", 1)
		time.Sleep(time.Minute)
		r := n.report(count(n, func() []*masterv1.ReportRunRequest { return n.reports }) - 1)
		if v := r.GetVerdicts(); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || len(v) != 1 || !v[0].GetTestFailed() || v[0].GetMute().GetReason() != "known" {
			t.Errorf("report is %v, want a success that shows the failed, muted promise", r)
		}
		time.Sleep(time.Hour)
		bangs := look(n.control, func() []*masterv1.BangRequest { return n.bangs })
		if len(bangs) != 1 || bangs[0].GetSource() != "answers" {
			t.Errorf("bangs after the mute was over are %v", bangs)
		}
	})
}
