package fleet_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/sim/fleet"
)

// TestARebootSpreadsTheRunsOf100PartitionsOver5Minutes: each runs once, none sooner than its phase, and no half minute has
// more than twice its share. `make bench-node` reads what it logs.
func TestARebootSpreadsTheRunsOf100PartitionsOver5Minutes(t *testing.T) {
	const spread, window, many = 5 * time.Minute, 30 * time.Second, 100
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f, err := fleet.New(ctx, fleet.Settings{SenseDelay: time.Minute, ContactsEvery: time.Minute, Recheck: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := f.Stop(ctx); err != nil {
				t.Error(err)
			}
		}()
		if err := f.Add(ctx, fleet.Computer{Name: "one", Partitions: many, Slots: 2, Periodicity: 24 * time.Hour}, "hello"); err != nil {
			t.Fatal(err)
		}
		var trees []string
		for n := range many {
			trees = append(trees, fmt.Sprintf("t%02d", n))
			if _, err := f.Operator.Request(ctx, trees[n], "hello", "one", map[string]string{"period": "86400"}); err != nil {
				t.Fatal(err)
			}
		}
		settled(ctx, t, f, trees)
		fleet.Pass(ctx, time.Minute)
		boot := time.Now()
		if err := f.Reboot(ctx, "one"); err != nil {
			t.Fatal(err)
		}
		fleet.Pass(ctx, spread+window)
		var windows [(spread + window) / window]int
		ran, last := map[any]int{}, time.Duration(0)
		for _, e := range f.Recorder.Events() {
			if e.Name != conv.EventRunStarted || e.At.Before(boot) {
				continue
			}
			// The phase of a partition's period may fall into these minutes too: then that is its run.
			if cause := e.Fields[string(conv.RunCause)]; cause != conv.CauseBoot && cause != conv.CausePeriodicity {
				t.Errorf("a run is because of %v", cause)
			}
			ran[e.Fields[string(conv.PartitionID)]]++
			last = e.At.Sub(boot)
			windows[last/window]++
		}
		most := 0
		for _, n := range windows {
			most = max(most, n)
		}
		if len(ran) != many || last > spread+time.Second || most > 2*many/int(spread/window) {
			t.Errorf("%d partitions ran, the last after %s, %v by half minutes", len(ran), last, windows)
		}
		for p, n := range ran {
			if n != 1 {
				t.Errorf("%v ran %d times", p, n)
			}
		}
		if red, err := f.Operator.Red(ctx); err != nil || len(red) > 0 {
			t.Errorf("red are %v, %v", red, err)
		}
		t.Logf("boot: last after %.1f s, at most %d in 30 s", last.Seconds(), most)
	})
}
