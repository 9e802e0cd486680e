package supervisor_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/supervise"
)

// BenchmarkRestart measures from SIGKILL of a service until its replacement runs (its exec has succeeded), seen by the
// agent's client; and until the agent hears of the exit.
func BenchmarkRestart(b *testing.B) {
	const services = 100
	h := newHostOf(b, []string{build(b)})
	exits := h.subscribe()
	var all []supervise.Process
	for i := range services {
		all = append(all, h.sleeper(fmt.Sprint("s", i)))
	}
	var running, heard []time.Duration
	for i := 0; b.Loop(); i++ {
		if i%services == 0 { // a hand's restart makes every next death a first one
			b.StopTimer()
			for j := range all {
				all[j].Revision = fmt.Sprint(i)
			}
			h.apply(all...)
			b.StartTimer()
		}
		process := all[i%services]
		pid := h.list()[process.Name].PID
		start := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		for h.next(exits).PID != pid {
			continue // an end that the change asked for
		}
		heard = append(heard, time.Since(start))
		unit := h.settled()[process.Name]
		if unit.PID == pid || unit.State != supervise.Running {
			b.Fatalf("%s was not replaced: %+v", process.Key, unit)
		}
		// Both times are of the same clock; the settling adds the way of 100 units over the socket, which is not the
		// service's outage.
		running = append(running, unit.RanSince.Sub(start))
	}
	report(b, "running", running)
	report(b, "heard", heard)
}

func report(b *testing.B, what string, all []time.Duration) {
	slices.Sort(all)
	at := func(percent int) float64 {
		return float64(all[min(len(all)-1, len(all)*percent/100)].Microseconds()) / 1000
	}
	b.ReportMetric(at(50), what+"-p50-ms")
	b.ReportMetric(at(99), what+"-p99-ms")
}
