package main

import (
	"context"
	"testing"
	"time"

	"github.com/vow-os/vow/bench/report"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// measureVerdict evaluates full windows of a plugin (1/1) and of an executable (3/3) on one core, one after the other.
func measureVerdict(_ context.Context, short bool, r *report.Report) error {
	steps := 5_000_000
	if short {
		steps = 1_000_000
	}
	for _, of := range []struct {
		name string
		rule verdict.Rule
	}{{"1/1", verdict.AnomalyRule}, {"3/3", verdict.ExecutableAnomalyRule}, {"10/10", verdict.Rule{ResultCount: 10, FailureAmount: 10}}} {
		var p verdict.Promise
		sequence := uint64(0)
		began := time.Now()
		step := func() {
			sequence++
			p.Step(verdict.Recorded{
				Group: verdict.Group{Sequence: sequence, Previous: sequence - 1, At: began.Add(time.Duration(sequence) * time.Minute), Failed: sequence%3 != 0},
				Test:  verdict.TestRule, Anomaly: of.rule, Runs: verdict.Runs{LatestSuccess: true, LastSuccess: "run"},
			})
		}
		for range steps {
			step()
		}
		took := time.Since(began)
		r.AtLeast("windows of "+of.name+" evaluated a second on one core", float64(steps)/took.Seconds(), 0, 1_000_000)
		r.AtMost("allocations a window of "+of.name, testing.AllocsPerRun(1000, step), 0, 0)
	}
	return nil
}
