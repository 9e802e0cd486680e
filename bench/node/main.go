package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/bench/report"
)

// size is how much is measured.
type size struct {
	partitions, runs int
	idle             time.Duration
}

// What each partition has: 300 services and 500 promises of 100 partitions.
const (
	servicesEach = 3
	promisesEach = 5
)

func main() {
	s := size{partitions: 100, runs: 200, idle: time.Minute}
	if os.Getenv("BENCH_SHORT") != "" {
		s.runs, s.idle = 50, 20*time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s size) (err error) {
	dir, err := os.MkdirTemp("", "bench-node")
	if err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	r := report.Begin(os.Stdout)
	defer r.End()
	l, err := up(ctx, dir, s.partitions+sensedPartitions+1)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := l.stop(); err == nil {
			err = stopErr
		}
	}()
	if only() == "promises" {
		return l.promises(ctx, s, r)
	}
	if err := l.runs(ctx, s.runs, r); err != nil {
		return err
	}
	if err := l.idle(ctx, s, r); err != nil {
		return err
	}
	if err := l.promises(ctx, s, r); err != nil {
		return err
	}
	if err := boot(ctx, r); err != nil {
		return err
	}
	return nil
}

// runs measures runs that change nothing: by the node's own clock, and from the bang to the end of its convergence, which
// has svc-master, svc-scheduler, Redis with appendfsync always, BeginRun and ReportRun in it too.
func (l *local) runs(ctx context.Context, times int, r *report.Report) error {
	release, err := l.release("parts", profileOf50())
	if err != nil {
		return err
	}
	if _, err := l.vow(ctx, "request", "parts", release, "--wait", "1m"); err != nil {
		return err
	}
	var own, whole []time.Duration
	for range times {
		closed, err := l.bang(ctx, "parts")
		if err != nil {
			return err
		}
		latest, err := l.latest(ctx, "parts")
		if err != nil {
			return err
		}
		if latest.Changed {
			return fmt.Errorf("cannot measure: a run of parts changed something")
		}
		own, whole = append(own, latest.took()), append(whole, closed)
	}
	// What cannot be less: the profile is read, and each of the 50 parts' outputs is looked at.
	floor, err := l.floor("parts")
	if err != nil {
		return err
	}
	r.AtMost("run that changes nothing, 50 parts, node's share p50 ms, floor: profile read, outputs looked at", report.Percentile(own, 50), floor, 20)
	r.AtMost("run that changes nothing, 50 parts, node's share p99 ms, floor: profile read, outputs looked at", report.Percentile(own, 99), floor, 20)
	r.AtMost("the same, from the bang to converged p50 ms, floor: profile read, outputs looked at", report.Percentile(whole, 50), floor, 20)
	return nil
}

// idle measures an agent of which nothing is asked: its promises have a period of a day, so that none is due.
func (l *local) idle(ctx context.Context, s size, r *report.Report) error {
	release, err := l.release("idle", idleProfile())
	if err != nil {
		return err
	}
	before, err := l.agent(ctx)
	if err != nil {
		return err
	}
	r.Note("agent with one partition: %.1f MB PSS", float64(before.pss)/1e6)
	began := time.Now()
	for i := range s.partitions {
		if _, err := l.vow(ctx, "request", fmt.Sprintf("idle-%d", i), release); err != nil {
			return err
		}
	}
	for i := range s.partitions {
		if _, err := l.vow(ctx, "request", fmt.Sprintf("idle-%d", i), release, "--wait", "2m"); err != nil {
			return err
		}
	}
	r.Note("%d partitions, %d services and %d promises are green after %s", s.partitions, s.partitions*servicesEach, s.partitions*promisesEach, time.Since(began).Round(time.Millisecond))
	last, grown, err := l.steady(ctx, s.idle)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d partitions, %d services, %d promises", s.partitions, s.partitions*servicesEach, s.partitions*promisesEach)
	r.AtMost("agent MB PSS, "+name+", floor: one partition", float64(last.pss)/1e6, float64(before.pss)/1e6, 70)
	r.AtMost("agent % of a core when nothing happens, "+name, 100*grown.cpu.Seconds()/s.idle.Seconds(), 0, 2)
	r.Note("resident %.1f MB; %d ticks of 10 ms; no sensor was due: the promises have a period of a day", float64(last.rss)/1e6, grown.ticks)
	return nil
}

func profileOf50() string {
	var parts, sections []string
	add := func(name, recipe, lines string) {
		parts = append(parts, name)
		sections = append(sections, "["+name+"]\nrecipe = "+recipe+"\n"+lines)
	}
	add("directory", "slapos.cookbook:mkdirectory", "etc = ${buildout:directory}/etc\nservice = ${:etc}/service\nvar = ${buildout:directory}/var\n")
	for i := range 40 {
		add(fmt.Sprintf("conf-%d", i), "collective.recipe.template", fmt.Sprintf(
			"input = inline:\n  port = ${:port}\n  data = ${directory:var}/%d\noutput = ${directory:etc}/%d.conf\nport = %d\n", i, i, 8000+i))
	}
	for i := range 50 - len(parts) {
		add(fmt.Sprintf("wrapper-%d", i), "slapos.cookbook:wrapper", fmt.Sprintf(
			"command-line = /bin/sleep 1000000\nwrapper-path = ${directory:etc}/w%d\n", i))
	}
	return "[buildout]\nparts =\n  " + strings.Join(parts, "\n  ") + "\n\n" + strings.Join(sections, "\n")
}

func idleProfile() string {
	var parts, sections []string
	add := func(name, recipe, lines string) {
		parts = append(parts, name)
		sections = append(sections, "["+name+"]\nrecipe = "+recipe+"\n"+lines)
	}
	for i := range servicesEach {
		add(fmt.Sprintf("service-%d", i), "slapos.cookbook:wrapper", fmt.Sprintf(
			"command-line = /bin/sleep 1000000\nwrapper-path = ${buildout:directory}/etc/service/s%d\n", i))
	}
	for i := range promisesEach {
		add(fmt.Sprintf("promise-%d", i), "slapos.cookbook:wrapper", fmt.Sprintf(
			"command-line = /bin/true\nwrapper-path = ${buildout:directory}/etc/promise/p%d\n", i))
		add(fmt.Sprintf("period-%d", i), "collective.recipe.template", fmt.Sprintf(
			"input = inline:\n  {\"periodicity\": 86400}\noutput = ${buildout:directory}/etc/promise/p%d.json\n", i))
	}
	return "[buildout]\nparts =\n  " + strings.Join(parts, "\n  ") + "\n\n" + strings.Join(sections, "\n")
}

// floor is how long it takes to read the profile and to look at each of its outputs, in milliseconds.
func (l *local) floor(name string) (float64, error) {
	files, err := filepath.Glob(filepath.Join(l.data, "instance", "*", "etc", "*"))
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for range 100 {
		began := time.Now()
		if _, err := os.ReadFile(filepath.Join(l.dir, name, "instance.cfg")); err != nil {
			return 0, err
		}
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				return 0, err
			}
		}
		took = append(took, time.Since(began))
	}
	return report.Percentile(took, 50), nil
}
