package model

import (
	"io"
	"math/rand/v2"
	"time"
)

// Config is a world before it begins. Configure makes one of a seed.
type Config struct {
	// Seed of everything random; the same seed and config replay exactly.
	Seed uint64
	// Nodes is how many machines, Partitions how many each has, Trees how many instance trees, Replicas how many of svc-scheduler.
	Nodes, Partitions, Trees, Replicas int
	// Storm is how long faults are injected, one each Calm on average; 0 = none. Crash is the probability of a crash at each boundary between two effects.
	Storm, Calm time.Duration
	Crash       float64
	// Drop, Repeat and Late are the probabilities that a message is lost, comes twice, or comes up to a second late.
	Drop, Repeat, Late float64
	// Skew is how far clocks are apart, Jump how far they jump.
	Skew, Jump time.Duration
	// Quiet is how long after the storm everything may take to converge: growing delay 1 h + 20 %, the wait for a lost report 30 min, and room.
	Quiet time.Duration
	// Days to go on for after that, for what is counted per day.
	Days int
	// Period is the periodicity of the computers; 0 = 24 h.
	Period time.Duration
	// Never is how many promises can never pass; they are on trees of their own.
	Never int
	// Ancestors makes releases ask for the scope `ancestors` with this probability.
	Ancestors float64
	// Quota of bangs a day of every tree; 0 = unlimited.
	Quota uint32
	// Epochs is the probability of a fault to be a loss of the store's last seconds, which moves the epoch.
	Epochs float64
	// Evictions is the probability of a fault to be the eviction of an instance from its computer.
	Evictions float64
	// Shares is the probability of a tree to request a shared instance, which any instance may host.
	Shares float64
	// Transcript is where everything is told; nil = nowhere.
	Transcript io.Writer

	// sabotage breaks a rule on purpose, to see the checker catch it.
	sabotage sabotage
}

// sabotage is a rule that the world breaks.
type sabotage int

const (
	noSabotage        sabotage = iota
	forgetBang                 // a bang is acknowledged and not stored
	acceptStale                // a superseded report is accepted
	olderDesired               // an older desired state replaces a newer one
	twoRuns                    // the node forgets its lock
	deafScheduler              // svc-scheduler neither follows nor reads
	miscountJoined             // a joined bang is not counted
	forgetReport               // a report is acknowledged and not stored
	forgetRequest              // a request is acknowledged and not stored
	forgottenOrder             // an order is handed over and not stored
	greenAfterRestart          // a restarted master forgets alarms
	sameEpoch                  // the store loses its last seconds and nobody says so
	impatient                  // somebody runs everything every ten minutes
	deafHost                   // nobody tells a host what it is not to serve any more
)

// Configure makes a world of a seed: few machines or many, gentle or rough. nodes is the most there may be.
func Configure(seed uint64, nodes int) Config {
	r := rand.New(rand.NewPCG(seed, 0x636f6e66)) //nolint:gosec // a simulator must replay: the seed is the point
	within := func(low, high time.Duration) time.Duration { return low + time.Duration(r.Int64N(int64(high-low)+1)) }
	c := Config{
		Seed: seed, Nodes: 1 + r.IntN(max(nodes, 1)), Partitions: 2 + r.IntN(5), Trees: 1 + r.IntN(4), Replicas: 1 + r.IntN(2),
		Storm: within(5*time.Minute, 25*time.Minute), Calm: within(5*time.Second, time.Minute),
		Drop: 0.02 * r.Float64(), Repeat: 0.02 * r.Float64(), Late: 0.05 * r.Float64(),
		Skew: within(0, time.Minute), Jump: within(0, 30*time.Minute), Quiet: 5 * time.Hour, Period: within(10*time.Minute, 24*time.Hour),
	}
	if r.IntN(2) == 0 {
		c.Crash = 0.002 * r.Float64()
	}
	if r.IntN(4) == 0 {
		c.Ancestors = 0.5
	}
	if r.IntN(4) == 0 {
		c.Skew, c.Jump = 0, 0
	}
	switch r.IntN(8) {
	case 0: // a terrible network
		c.Drop, c.Repeat, c.Late = 0.1, 0.2, 0.3
	case 1: // bangs are short; what is refused heals with the next periodic run
		c.Quota, c.Period = uint32(1+r.IntN(5)), within(10*time.Minute, time.Hour)
	case 2:
		c.Epochs = 0.1
	case 3: // a long storm, rarely a fault
		c.Storm, c.Calm = within(time.Hour, 4*time.Hour), 2*time.Minute
	}
	if r.IntN(3) == 0 {
		c.Evictions = 0.1
	}
	if r.IntN(3) == 0 {
		c.Shares = 0.7
	}
	return c
}

// ConfigureFleet makes a world of exactly so many machines, and as many trees, of a seed: a day of crashes, cuts, skewed clocks and losses of the store.
func ConfigureFleet(seed uint64, nodes int) Config {
	c := Configure(seed, 1)
	c.Nodes, c.Trees, c.Replicas, c.Storm, c.Calm = nodes, nodes, 2, 24*time.Hour, 2*time.Minute
	c.Skew, c.Jump, c.Epochs = max(c.Skew, time.Minute), max(c.Jump, 10*time.Minute), 0.02
	return c
}
