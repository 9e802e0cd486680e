package fleet_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/sim/fleet"
)

// TestOverdueRunsAreSpreadAfterAnOutage: svc-scheduler, or the whole control plane, is away for periods. When it is back, what was banged meanwhile runs first, the
// periodic runs that are overdue come spread over a twentieth of their period, and no partition that is healthy turns Red for it.
func TestOverdueRunsAreSpreadAfterAnOutage(t *testing.T) {
	for name, away := range map[string][]string{"scheduler": {"scheduler"}, "control plane": {"master", "promise", "scheduler"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { outage(t, away) })
		})
	}
}

func outage(t *testing.T, away []string) {
	const many, period, spread = 30, 20 * time.Minute, time.Minute
	ctx := t.Context()
	f, err := fleet.New(ctx, fleet.Settings{SenseDelay: time.Hour, ContactsEvery: time.Minute, Recheck: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := f.Add(ctx, fleet.Computer{Name: "one", Partitions: many, Slots: many, Periodicity: period}, "hello"); err != nil {
		t.Fatal(err)
	}
	var trees []string
	for n := range many {
		trees = append(trees, fmt.Sprintf("t%02d", n))
		if _, err := f.Operator.Request(ctx, trees[n], "hello", "one", nil); err != nil {
			t.Fatal(err)
		}
	}
	settled(ctx, t, f, trees)
	fleet.Pass(ctx, period)
	for _, service := range away {
		if err := f.Crash(service); err != nil {
			t.Fatal(err)
		}
	}
	fleet.Pass(ctx, 2*period+5*time.Minute)
	first := conv.CausePeriodicity
	if len(away) == 1 { // svc-master is there to take a bang
		first = conv.CauseBang
		if _, err := f.Operator.Bang(ctx, trees[many-1], "while-away"); err != nil {
			t.Fatal(err)
		}
	}
	back := time.Now()
	for _, service := range away {
		if err := f.Start(ctx, service); err != nil {
			t.Fatal(err)
		}
	}
	fleet.Pass(ctx, spread+2*time.Minute)
	bySecond, runs := map[int]int{}, 0
	for _, e := range f.Recorder.Events() {
		if e.Name == conv.EventRunStarted && e.At.After(back) {
			if cause := e.Fields[string(conv.RunCause)]; runs == 0 && cause != first {
				t.Errorf("the first run is because of %v, want %s", cause, first)
			}
			bySecond[int(e.At.Sub(back)/time.Second)]++
			runs++
		}
	}
	most := 0
	for _, n := range bySecond {
		most = max(most, n)
	}
	if most > 6 {
		t.Errorf("%d runs began in one second: %v", most, bySecond)
	}
	red, err := f.Operator.Red(ctx)
	if err != nil || len(red) > 0 {
		t.Errorf("red are %v, %v", red, err)
	}
	t.Logf("%d runs, at most %d in one second", runs, most)
}
