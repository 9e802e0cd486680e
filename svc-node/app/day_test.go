package app_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// A quarter of a virtual day of ten partitions with a promise of two minutes each: what the fleet simulator does eighty times over.
func TestAQuarterOfADayOfANodeIsCheap(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		for i := range 10 {
			d := &masterv1.DesiredPartition{
				Partition: fmt.Sprintf("slappart%d", i), AllocationId: fmt.Sprintf("t1.a%d", i), InstanceId: fmt.Sprintf("t1.i%d", i), TreeId: "t1",
				Generation: &typev1.Generation{Epoch: 1, Number: 1}, SoftwareRelease: n.release,
				State: typev1.RequestedState_REQUESTED_STATE_STARTED, Period: durationpb.New(time.Hour),
			}
			n.desired[d.GetPartition()] = d
		}
		n.start()
		time.Sleep(time.Second)
		for i := range 10 {
			n.order(fmt.Sprintf("slappart%d", i), fmt.Sprintf("t1.a%d", i), i)
		}
		n.cut("scheduler") // the node runs each partition by itself, every hour
		time.Sleep(6 * time.Hour)
		reports := count(n, func() []*masterv1.ReportRunRequest { return n.reports })
		groups := count(n, func() []*typev1.SenseGroup { return n.groups })
		if reports < 55 || reports > 70 || groups < 1800 || groups > 2000 {
			t.Errorf("%d reports and %d groups came in six hours", reports, groups)
		}
		for i := range reports {
			if r := n.report(i); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
				t.Fatalf("report is %v", r)
			}
		}
	})
}
