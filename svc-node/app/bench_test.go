package app_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
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

// BenchmarkRunThatChangesNothing is a whole run of 50 parts, in a partition that is the agent's own and in one of another
// user, whose user the agent then is on a thread (docs/decisions/0014). The second needs root.
func BenchmarkRunThatChangesNothing(b *testing.B) {
	var parts, text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&parts, " part%d", i)
		fmt.Fprintf(&text, "\n[part%[1]d]\nrecipe = slapos.recipe.template\ninline = number %[1]d of ${buildout:directory}\noutput = ${buildout:directory}/etc/file%[1]d\n", i)
	}
	for _, formatted := range []bool{false, true} {
		if formatted && os.Getuid() != 0 {
			continue
		}
		b.Run(map[bool]string{false: "own", true: "user"}[formatted], func(b *testing.B) {
			n := openNode(b)
			if formatted {
				n.layout(0, 2)
			}
			startReal(b, n, "[buildout]\nparts ="+parts.String()+"\n"+text.String())
			eventually(b, "the release is available", func() bool {
				return look(n.control, func() bool {
					return len(n.states) > 0 && n.states[len(n.states)-1].GetState() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
				})
			})
			n.allocate("slappart0", "t1.a1", 1, n.release)
			n.order("slappart0", "t1.a1", 0)
			eventually(b, "the first run is reported", n.reported(0))
			number := 0
			var took []float64
			for b.Loop() {
				number++
				n.order("slappart0", "t1.a1", number)
				eventually(b, "a run is reported", n.reported(number))
				r := n.report(number)
				if r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS || r.GetChanged() {
					b.Fatalf("report is %v", r)
				}
				took = append(took, r.GetDurationSeconds()*1000)
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "run-p50-ms")
			b.ReportMetric(took[len(took)*99/100], "run-p99-ms")
		})
	}
}
