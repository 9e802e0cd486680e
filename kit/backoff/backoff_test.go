package backoff_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vow-os/vow/kit/backoff"
)

func TestHashNeverChanges(t *testing.T) {
	// Stored trees are found by these values: a failure here is data loss, not a wrong test.
	for id, want := range map[string]uint64{
		"":              0xefd01f60ba992926,
		"t0000000000a":  0x5c2debc000b23a4e,
		"slappart0":     0x3d0cfe4c3ca243b0,
		"t3k5m9x2q7ab4": 0x82ed45eb2b57da16,
	} {
		if got := backoff.Hash(id); got != want {
			t.Errorf("Hash(%q) = %#x, want %#x", id, got, want)
		}
	}
}

func TestDelayStaysWithinTwentyPercentOfTheGrowingDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempt := rapid.IntRange(-1, 100).Draw(t, "attempt")
		id := rapid.String().Draw(t, "id")
		first := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "first"))
		limit := time.Duration(rapid.Int64Range(int64(first), int64(24*time.Hour)).Draw(t, "limit"))

		// The dumb model: doubling, one step at a time, in floating point.
		nominal := float64(first)
		for i := 1; i < attempt && nominal < float64(limit); i++ {
			nominal *= 2
		}
		nominal = min(nominal, float64(limit))

		got := float64(backoff.Delay(attempt, id, first, limit))
		if got < 0.8*nominal-2 || got > 1.2*nominal+2 {
			t.Fatalf("attempt %d waits %v, want within 20%% of %v", attempt, time.Duration(got), time.Duration(nominal))
		}
		if again := backoff.Delay(attempt, id, first, limit); float64(again) != got {
			t.Fatalf("the same attempt waits %v, then %v", time.Duration(got), again)
		}
	})
}

func TestDelayOfManyIdsUsesTheWholeRangeOfJitter(t *testing.T) {
	const ids, buckets = 20_000, 10
	var count [buckets]int
	for i := range ids {
		d := backoff.Delay(20, fmt.Sprintf("t%06d.a1", i), time.Second, time.Hour)
		at := (d.Seconds()/3600 - 0.8) / 0.4
		count[min(int(at*buckets), buckets-1)]++
	}
	assertFlat(t, "jitter", count[:], ids)
}

func TestPhasesOfSequentialIdsAreFlat(t *testing.T) {
	const ids, buckets = 20_000, 20
	grid := backoff.Grid(24 * time.Hour)
	for _, format := range []string{"slappart%d", "t0000%07d.i1", "COMP-%d"} {
		var count [buckets]int
		for i := range ids {
			phase := backoff.Phase(fmt.Sprintf(format, i), grid)
			if phase < 0 || phase >= grid {
				t.Fatalf("phase %v is outside of the grid of %v", phase, grid)
			}
			count[int(float64(phase)/float64(grid)*buckets)]++
		}
		assertFlat(t, format, count[:], ids)
	}
}

func TestShardsOfSequentialIdsAreFlat(t *testing.T) {
	const ids = 64_000
	var count [64]int
	for i := range ids {
		count[backoff.Shard(fmt.Sprintf("t%012d", i), 64)]++
	}
	assertFlat(t, "shards", count[:], ids)
}

// assertFlat allows six standard deviations of a fair throw: it fails by chance once in 10^8 buckets, and the inputs
// are fixed anyway.
func assertFlat(t *testing.T, what string, count []int, total int) {
	t.Helper()
	want := float64(total) / float64(len(count))
	for i, n := range count {
		if deviation := float64(n) - want; deviation*deviation > 36*want {
			t.Errorf("%s: bucket %d has %d, want about %.0f", what, i, n, want)
		}
	}
}

func TestNextInGridIsNeverEarlyAndNeverSkips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		period := time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "period"))
		now := time.Unix(0, rapid.Int64Range(-int64(time.Hour)*1000, 4_000_000_000*1_000_000_000).Draw(t, "now"))
		grid := backoff.Grid(period)

		next := backoff.NextInGrid(id, period, now)
		if !next.After(now) {
			t.Fatalf("the next run at %v is not after %v", next, now)
		}
		if next.Sub(now) > grid {
			t.Fatalf("the next run is %v away, more than the grid of %v", next.Sub(now), grid)
		}
		if following := backoff.NextInGrid(id, period, next); following.Sub(next) != grid {
			t.Fatalf("two periodic runs are %v apart, want %v", following.Sub(next), grid)
		}
		if between := now.Add(next.Sub(now) / 2); between.Before(next) && !backoff.NextInGrid(id, period, between).Equal(next) {
			t.Fatalf("the next run depends on when one asks")
		}
		// The dumb model: the instants are phase + k × grid.
		if rest := (time.Duration(next.UnixNano()) - backoff.Phase(id, grid)) % grid; rest != 0 {
			t.Fatalf("the next run is %v beside the grid", rest)
		}
	})
}

func FuzzHashIsDeterministic(f *testing.F) {
	f.Add("t3k5m9x2q7ab4")
	f.Fuzz(func(t *testing.T, id string) {
		if backoff.Hash(id) != backoff.Hash(id) {
			t.Fatal("two hashes of one id differ")
		}
		if s := backoff.Shard(id, 64); s < 0 || s > 63 {
			t.Fatalf("shard %d", s)
		}
	})
}
