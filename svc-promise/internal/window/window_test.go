package window

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/verdict"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func group(n uint64, failed bool) verdict.Recorded {
	return verdict.Recorded{
		Group: verdict.Group{Sequence: n, At: now, Failed: failed}, Test: verdict.TestRule, Anomaly: verdict.AnomalyRule,
		Runs: verdict.Runs{LatestSuccess: true, LastSuccess: "r"},
	}
}

func TestPromisesOfDifferentAllocationsDoNotTouchEachOther(t *testing.T) {
	w := New()
	for _, a := range []string{"t1.a1", "t1.a2"} {
		if got, err := w.Record(a, "web", "executable", group(1, a == "t1.a1"), history.Point{}, now); err != nil || got.Verdict.Anomaly != (a == "t1.a1") {
			t.Errorf("%s: %+v, %v", a, got, err)
		}
	}
}

func TestAnAllocationThatIsSilentForLongIsForgotten(t *testing.T) {
	w := New()
	if _, err := w.Record("t1.a1", "web", "executable", group(1, true), history.Point{}, now); err != nil {
		t.Fatal(err)
	}
	w.Sweep(now.Add(Silence))
	if len(w.Verdicts("t1.a1")) != 1 {
		t.Error("forgotten too early")
	}
	w.Sweep(now.Add(Silence + time.Second))
	if len(w.Verdicts("t1.a1")) != 0 {
		t.Error("not forgotten")
	}
}

func TestTheNumberOfPromisesIsBounded(t *testing.T) {
	w := New()
	for i := range MaxPromises {
		if _, err := w.Record("t1.a1", fmt.Sprint(i), "executable", group(1, false), history.Point{}, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Record("t1.a1", "one more", "executable", group(1, false), history.Point{}, now); !errors.Is(err, ErrTooManyPromises) {
		t.Errorf("got %v", err)
	}
	if got := w.Count()[Tally{"executable", false}]; got != MaxPromises {
		t.Errorf("%d promises counted, want %d", got, MaxPromises)
	}
}

// A promise that its profile dropped is forgotten like an allocation: it must not be counted as failing for ever.
func TestAPromiseThatIsSilentForLongIsForgotten(t *testing.T) {
	w := New()
	record := func(name string, n uint64, at time.Time) {
		if _, err := w.Record("t1.a1", name, "executable", group(n, true), history.Point{}, at); err != nil {
			t.Fatal(err)
		}
	}
	record("kept", 1, now)
	record("dropped", 1, now)
	record("kept", 2, now.Add(Silence))
	w.Sweep(now.Add(Silence))
	if all := w.Verdicts("t1.a1"); len(all) != 2 {
		t.Errorf("forgotten too early: %+v", all)
	}
	w.Sweep(now.Add(Silence + time.Second))
	if all := w.Verdicts("t1.a1"); len(all) != 1 || all[0].Promise != "kept" {
		t.Errorf("the promises are %+v", all)
	}
}

func TestPointsWaitForTheStoreAndAreTakenOnce(t *testing.T) {
	w := New()
	key := redisstore.Key{Allocation: "t1.a1", Promise: "web"}
	record := func(n uint64) {
		if _, err := w.Record(key.Allocation, key.Promise, "executable", group(n, true), history.Point{Sequence: n, Failed: true}, now); err != nil {
			t.Fatal(err)
		}
	}
	record(2)
	record(1)
	points, _ := w.Take()
	if got := *points[key]; len(points) != 1 || len(got) != 2 || !got[0].Anomaly || got[1].Anomaly {
		t.Fatalf("took %+v", points)
	}
	record(3)
	w.GiveBack(key, *points[key])
	if points, dropped := w.Take(); len(*points[key]) != 3 || dropped != 0 {
		t.Errorf("took %+v, dropped %d", points, dropped)
	}
	if points, _ := w.Take(); len(points) != 0 {
		t.Errorf("took %+v again", points)
	}
	w.points = MaxPending
	record(4)
	if points, dropped := w.Take(); len(points) != 0 || dropped != 1 {
		t.Errorf("past the limit: %+v, dropped %d", points, dropped)
	}
}
