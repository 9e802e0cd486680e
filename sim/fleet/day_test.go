package fleet_test

import (
	"context"
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/sim/fleet"
)

var hours = flag.Int("hours", dayHours, "hours of the day that are told")

const (
	computers  = 20
	partitions = 10
)

// TestADay runs 20 computers of 10 partitions for a day, with promises sensed every two minutes, periodic runs every four
// hours, the exit of a process every ten minutes and a bang by hand every hour. At the end everything is green, every bang
// has converged, and every partition ran as often as it had to.
func TestADay(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // the heap is small; half of the collections are enough for twice the work
	began, before := time.Now(), cpu(t)
	var summary string
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		// What is asked for in vain again and again is asked for less often than by default: a day has 86,400 seconds.
		f, err := fleet.New(ctx, fleet.Settings{
			PingIdle: 10 * time.Minute, SenseDelay: 2 * time.Minute, ContactsEvery: 2 * time.Minute, Recheck: time.Hour, UnsettledEvery: 5 * time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := f.Stop(ctx); err != nil {
				t.Error(err)
			}
		}()
		trees := settleDown(ctx, t, f)
		start := time.Now()
		exits, bangs := live(ctx, t, f, trees)
		settled(ctx, t, f, trees)
		for _, p := range f.Recorder.Problems() {
			t.Errorf("a service logged an error: %s", p)
		}
		summary = fmt.Sprintf("%s; %d exits, %d bangs by hand", tally(t, f, start), exits, bangs)
	})
	t.Logf("%d hours took %s, %s of CPU: %s", *hours, time.Since(began).Round(time.Millisecond), (cpu(t) - before).Round(time.Millisecond), summary)
}

// settleDown starts the computers and requests a tree on each, whose instances are on ten computers; it returns the titles.
func settleDown(ctx context.Context, t *testing.T, f *fleet.Fleet) []string {
	t.Helper()
	name := func(n int) string { return fmt.Sprintf("c%02d", n%computers) }
	for n := range computers {
		if err := f.Add(ctx, fleet.Computer{Name: name(n), Partitions: partitions, Slots: 2, Periodicity: 4 * time.Hour}, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	var trees []string
	for n := range computers {
		var children []string
		for k := 1; k < partitions; k++ {
			children = append(children, fmt.Sprintf("t%02d-%d@%s", n, k, name(n+k)))
		}
		title := fmt.Sprintf("t%02d", n)
		if _, err := f.Operator.Request(ctx, title, "hello", name(n), map[string]string{"children": strings.Join(children, ","), "period": "120"}); err != nil {
			t.Fatal(err)
		}
		trees = append(trees, title)
	}
	settled(ctx, t, f, trees)
	return trees
}

// settled waits until all is green and nothing is open.
func settled(ctx context.Context, t *testing.T, f *fleet.Fleet, trees []string) {
	t.Helper()
	for _, title := range trees {
		for what, ask := range map[string]func(context.Context, string) error{"is green": f.Operator.Green, "has converged": f.Operator.Converged} {
			if err := f.Until(ctx, 10*time.Minute, func(ctx context.Context) (string, error) { return title + " " + what, ask(ctx, title) }); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// live lets the day pass.
func live(ctx context.Context, t *testing.T, f *fleet.Fleet, trees []string) (exits, bangs int) {
	t.Helper()
	names := f.Computers()
	for n := range *hours * 6 {
		fleet.Pass(ctx, 10*time.Minute)
		if err := f.Machine(names[n%computers]).Kill(fmt.Sprintf("slappart%d", n%partitions), "serve"); err != nil {
			t.Fatal(err)
		}
		exits++
		if n%6 == 5 {
			if _, err := f.Operator.Bang(ctx, trees[n%len(trees)], fmt.Sprintf("bang-%d", n)); err != nil {
				t.Fatal(err)
			}
			bangs++
		}
	}
	return exits, bangs
}

// tally counts what happened since the start, and checks that no partition ran more than it had to.
func tally(t *testing.T, f *fleet.Fleet, start time.Time) string {
	t.Helper()
	runs, failed, converged := map[string]int{}, 0, 0
	for _, e := range f.Recorder.Events() {
		switch {
		case e.At.Before(start):
		case e.Name == conv.EventConvergenceClosed:
			converged++
		case e.Name == conv.EventRunFinished:
			cause, _ := e.Fields[string(conv.RunCause)].(string)
			runs[cause]++
			if e.Fields[string(conv.RunResult)] != conv.ResultSuccess {
				failed++
			}
		}
	}
	if failed > 0 || runs[conv.CauseRetry] > 0 {
		t.Errorf("%d runs failed, %d were retries", failed, runs[conv.CauseRetry])
	}
	if want := computers * partitions * *hours / 4; runs[conv.CausePeriodicity] < want-computers*partitions || runs[conv.CausePeriodicity] > want*5/4+computers*partitions {
		t.Errorf("%d periodic runs, want about %d", runs[conv.CausePeriodicity], want)
	}
	return fmt.Sprintf("%d convergences, %d runs by bangs, %d by periodicity", converged, runs[conv.CauseBang], runs[conv.CausePeriodicity])
}

// cpu is what this process has used, in user mode and in the kernel.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
