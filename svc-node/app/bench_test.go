package app_test

import (
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
)

// BenchmarkBang measures from the SIGKILL of a service under a real supervisor until svc-master's side of the network
// has the agent's Bang. `make bench-supervise` reads its figures. A service is killed once a restart by hand has made
// its next death a first one.
func BenchmarkBang(b *testing.B) {
	n := newNode(b)
	startReal(b, n, profile)
	n.allocate("slappart0", "t1.a1", 1, n.release)
	eventually(b, "the release is available", func() bool {
		return look(n.control, func() bool {
			return len(n.states) > 0 && n.states[len(n.states)-1].GetState() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
		})
	})
	n.order("slappart0", "t1.a1", 0)
	eventually(b, "the run is reported", n.reported(0))
	client := supervisorapi.New(n.dir + "/supervisor")
	ctx := b.Context()
	var took []time.Duration
	for b.Loop() {
		<-time.After(50 * time.Millisecond) // what is prepared after one death is no part of the next
		units, err := client.Settle(ctx, "slappart0")
		if err != nil || len(units) != 1 {
			b.Fatalf("units are %+v, %v", units, err)
		}
		bangs := look(n.control, func() int { return len(n.bangs) })
		killed := time.Now()
		if err := syscall.Kill(units[0].PID, syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		eventually(b, "the kill bangs", func() bool { return look(n.control, func() bool { return len(n.bangs) > bangs }) })
		took = append(took, look(n.control, func() time.Duration { return n.bangTimes[bangs].Sub(killed) }))
		if err := client.Hand(ctx, units[0].Process.Key, "restart"); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	for _, percent := range []int{50, 99} {
		b.ReportMetric(float64(took[min(len(took)-1, len(took)*percent/100)].Microseconds())/1000, "bang-p"+strconv.Itoa(percent)+"-ms")
	}
}
