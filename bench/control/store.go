package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/vow-os/vow/bench/report"
)

// metric finds a value that a benchmark reported: `BenchmarkBangs/trees=1-2  100  5 ns/op  19631 bangs/s`.
var metric = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s(.*)$`)

var value = regexp.MustCompile(`([0-9.e+]+) (\S+)`)

// benchmarks runs the Go benchmarks of a package that match, and returns what each reported, by `name unit`.
func benchmarks(ctx context.Context, of, match, benchtime string, env ...string) (map[string]float64, error) {
	c := exec.CommandContext(ctx, "go", "test", "-count=1", "-vet=off", "-run", "^$", "-bench", match, "-benchtime", benchtime, "-timeout", "5m", of)
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("cannot run the benchmarks of %s: %w\n%s", of, err, out)
	}
	found := map[string]float64{}
	for _, line := range metric.FindAllSubmatch(out, -1) {
		for _, pair := range value.FindAllSubmatch(line[2], -1) {
			if v, err := strconv.ParseFloat(string(pair[1]), 64); err == nil {
				found[string(line[1])+" "+string(pair[2])] = v
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("cannot read what the benchmarks of %s say:\n%s", of, out)
	}
	return found, nil
}

// measureStore runs the benchmarks of svc-master's store, which is not exported, with appendfsync always.
func measureStore(ctx context.Context, short bool, r *report.Report) error {
	benchtime := "5s"
	if short {
		benchtime = "1s"
	}
	found, err := benchmarks(ctx, "github.com/vow-os/vow/svc-master/internal/redisstore", "^Benchmark(Bangs|Runs|Contacts|BareSet)$", benchtime)
	if err != nil {
		return err
	}
	floor := found["BareSet sets/s"]
	r.AtLeast("store, fsync always: bangs a second on one tree of 100 partitions, 256 callers", found["Bangs/trees=1 bangs/s"], floor, 10_000)
	r.AtLeast("store, fsync always: bangs a second on 1000 trees, 256 callers", found["Bangs/trees=1000 bangs/s"], floor, 1_000)
	r.AtLeast("store, fsync always: reports a second, 1024 callers", found["Runs/reports reports/s"], floor, 20_000)
	r.AtLeast("store, fsync always: acknowledged changes a second, 1024 callers", found["Runs/changes changes/s"], floor, 50_000)
	r.AtLeast("store, fsync always: contacts a second, batched", found["Contacts/later contacts/s"], floor, 20_000)
	r.AtLeast("store, fsync always: first contacts a second, batched", found["Contacts/first contacts/s"], floor, 20_000)
	for _, of := range []struct{ what, benchmark string }{
		{"bang on one tree", "Bangs/trees=1"}, {"bang on 1000 trees", "Bangs/trees=1000"}, {"change", "Runs/changes"}, {"contact", "Contacts/later"},
	} {
		r.Note("store: processor time of a %s: callers and store %.1f µs, redis %.1f µs", of.what, found[of.benchmark+" go-µs/change"], found[of.benchmark+" redis-µs/change"])
	}
	return nil
}
