package model_test

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/sim/model"
)

var (
	seeds = flag.Int("seeds", defaultSeeds, "how many seeds to run")
	first = flag.Uint64("seed", 1, "the first of them")
	nodes = flag.Int("nodes", 5, "the most machines of a world")
)

// TestSeeds: nothing that must never happen happens, whatever crashes, is cut, jumps or breaks, and everything converges afterwards.
func TestSeeds(t *testing.T) {
	if testing.Short() {
		*seeds = min(*seeds, 50)
	}
	worlds := make([]model.Config, *seeds)
	for i := range worlds {
		worlds[i] = model.Configure(*first+uint64(i), *nodes)
	}
	done := model.RunMany(t.Context(), worlds, func(m model.Many, err error) {
		if err != nil && m.Broken <= 3 {
			t.Error(err)
		}
	})
	if done.Broken > 0 || done.Ran != len(worlds) {
		t.Errorf("%d of %d seeds ran, %d broke a rule", done.Ran, len(worlds), done.Broken)
	}
	t.Log(done)
	t.Log(done.Total.String())
}

// TestShared: whatever crashes, is cut or jumps, what a host publishes for a shared instance reaches its requester in the end, and no host serves what its requester destroyed, or
// what another one serves.
func TestShared(t *testing.T) {
	total := model.Summary{}
	for seed := *first; seed < *first+60; seed++ {
		cfg := model.Configure(seed, *nodes)
		cfg.Trees, cfg.Shares, cfg.Epochs, cfg.Evictions = 4, 1, 0.1, 0.1
		s, err := model.RunOrReplay(cfg)
		if err != nil {
			t.Fatal(err)
		}
		total.Add(&s)
	}
	if total.Hosted < 4*60 || total.Crashes == 0 || total.Losses == 0 {
		t.Errorf("too little happened: %s", total.String())
	}
}

// TestReplay: a seed replays exactly, and a transcript changes nothing.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		cfg := model.Configure(seed, *nodes)
		silent, silentErr := model.Run(cfg)
		var a, b bytes.Buffer
		cfg.Transcript = &a
		once, _ := model.Run(cfg)
		cfg.Transcript = &b
		twice, err := model.Run(cfg)
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("seed %d: two transcripts differ: %s", seed, difference(a.String(), b.String()))
		}
		if once != twice || silent != once || (err == nil) != (silentErr == nil) {
			t.Errorf("seed %d: two runs differ:\n%+v\n%+v\n%+v", seed, silent, once, twice)
		}
		if a.Len() == 0 {
			t.Errorf("seed %d: the transcript is empty", seed)
		}
	}
}

// difference is the first line that differs.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return "\n" + x[i] + "\n" + y[i]
		}
	}
	return "one is longer"
}

// TestQuiet: without faults nothing is lost and nothing is handed over twice.
func TestQuiet(t *testing.T) {
	s, err := model.RunOrReplay(model.Config{Seed: 1, Nodes: 3, Partitions: 4, Trees: 3, Replicas: 2, Quiet: 2 * time.Hour, Days: 1, Period: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if s.Crashes+s.Cuts+s.Jumps+s.Lost+s.OrdersAgain > 0 {
		t.Errorf("there were faults: %s", s.String())
	}
	if s.Runs == 0 || s.Orders == 0 {
		t.Errorf("nothing ran: %s", s.String())
	}
}

// TestSabotage: the checker catches a world that breaks a rule on purpose.
func TestSabotage(t *testing.T) {
	for name, one := range model.Sabotages {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 200; seed++ {
				_, err := model.RunOrReplay(model.Sabotaged(seed, one))
				var broken *model.Broken
				if errors.As(err, &broken) {
					t.Logf("%v", broken.Err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Error("200 seeds broke the rule and nobody saw it")
		})
	}
}

// TestNever: a promise that can never pass causes at most 60 runs a day, and its neighbours do not notice.
func TestNever(t *testing.T) {
	s, err := model.RunOrReplay(model.Config{Seed: 7, Nodes: 1, Partitions: 8, Trees: 2, Replicas: 1, Never: 2, Quiet: 2 * time.Hour, Days: 3, Period: 30 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if s.Failed == 0 {
		t.Errorf("the promise passed: %s", s.String())
	}
}

func BenchmarkSeed(b *testing.B) {
	var virtual time.Duration
	var steps uint64
	for seed := uint64(1); b.Loop(); seed++ {
		s, err := model.Run(model.Configure(seed, *nodes))
		if err != nil {
			b.Fatal(err)
		}
		virtual += s.Virtual
		steps += s.Steps
	}
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "×real-time")
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
