package converge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/converge"
)

// While svc-master does not answer, svc-scheduler orders a due partition again under other run ids: one local run answers them all.
func TestOneLocalRunAnswersAllOrdersOfOneOccasion(t *testing.T) {
	now, local, number := epoch, 0, 0
	node := converge.NewNode("c1", "boot-1", 1, 0, now)
	var step func(e converge.Event)
	step = func(e converge.Event) {
		var effects []converge.Effect
		node, effects, _ = node.Step(e, now)
		for _, effect := range effects {
			start, ok := effect.(converge.StartRun)
			if !ok {
				continue
			}
			ended := converge.Ended{Partition: "p0", RunID: start.Run.RunID, Outcome: converge.Unbegun}
			if start.Run.Local {
				local++
				ended.Outcome, ended.Result = converge.Done, converge.Success
			}
			step(ended)
		}
	}
	order := func(due time.Time, bangs ...converge.BangReference) {
		now = now.Add(2 * time.Minute)
		number++
		step(converge.Ordered{Order: converge.Order{
			RunID: fmt.Sprintf("run-%d", number), Partition: "p0", AllocationID: "t.a1", Cause: converge.Periodicity, DueAt: due, Bangs: bangs,
		}})
	}
	step(converge.Wanted{Items: []converge.Desired{{Partition: "p0", AllocationID: "t.a1", Requested: converge.Started, Period: 24 * time.Hour}}})
	for range 10 {
		order(epoch)
	}
	if local != 1 {
		t.Errorf("%d local runs answer the orders of one occasion", local)
	}
	order(epoch, converge.BangReference{BangID: "t.b1"})
	order(epoch.Add(time.Hour))
	if local != 3 {
		t.Errorf("%d local runs answer three occasions", local)
	}
}
