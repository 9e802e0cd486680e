package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/vow-os/vow/bench/report"
)

// boot asks the fleet simulator, whose virtual time makes the five minutes short: the real services and agent, faked processes.
func boot(ctx context.Context, r *report.Report) error {
	c := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-run", "^TestARebootSpreadsTheRunsOf100PartitionsOver5Minutes$", "github.com/vow-os/vow/sim/fleet")
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot measure the runs after a boot: %w\n%s", err, out)
	}
	found := regexp.MustCompile(`boot: last after ([0-9.]+) s, at most ([0-9]+) in 30 s`).FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("cannot read what the simulator says:\n%s", out)
	}
	for i, name := range []string{"100 partitions after a boot: the last run begins after s", "100 partitions after a boot: most runs in 30 s"} {
		value, err := strconv.ParseFloat(string(found[i+1]), 64)
		if err != nil {
			return fmt.Errorf("cannot read what the simulator says: %w", err)
		}
		r.AtMost(name, value, 0, []float64{301, 20}[i])
	}
	return nil
}
