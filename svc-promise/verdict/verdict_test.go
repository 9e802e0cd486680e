package verdict

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var zero = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// history makes groups a minute apart: E failed, everything else did not.
func history(letters string) []Group {
	groups := make([]Group, 0, len(letters))
	for i, c := range letters {
		groups = append(groups, Group{Sequence: uint64(i + 1), At: zero.Add(time.Duration(i) * time.Minute), Failed: c == 'E', Message: string(c)})
	}
	return groups
}

func TestTheVerdictsOfSlapOSHold(t *testing.T) {
	for _, v := range []struct {
		history                    string
		resultCount, failureAmount int
		fails                      bool
	}{
		{"EEE", 3, 3, true},
		{"EE", 3, 3, false},   // not enough groups
		{"EEEE", 2, 3, false}, // can never fail
		{"EEE", 3, 0, false},  // can never fail
		{"EIE", 3, 2, true},   // not in a row
		{"EIE", 2, 2, false},
		{"EEI", 3, 1, false}, // the newest is fine
		{"W", 1, 1, false},   // a warning is no failure
		{"", 1, 1, false},
	} {
		rule := Rule{ResultCount: v.resultCount, FailureAmount: v.failureAmount}
		if got := rule.Fails(history(v.history)); got != v.fails {
			t.Errorf("%q with %d of %d: fails = %v, want %v", v.history, v.failureAmount, v.resultCount, got, v.fails)
		}
	}
}

func TestLatestMinuteGoesByTheNewestGroupsOwnClock(t *testing.T) {
	rule := Rule{ResultCount: 3, FailureAmount: 2, Latest: 90 * time.Second}
	if !rule.Fails(history("EE")) {
		t.Error("two failures a minute apart, within 90 s: want failed")
	}
	if rule.Fails(history("EIE")) {
		t.Error("two failures two minutes apart, within 90 s: want not failed")
	}
}

func TestAPromiseWithoutGroupsPassesAndSaysSo(t *testing.T) {
	var p Promise
	if got := p.Verdict(); got.TestFailed || got.Anomaly || got.Message != NoResult {
		t.Errorf("got %+v", got)
	}
}

// recorded is an event of a healthy partition.
func recorded(sequence uint64, failed bool) Recorded {
	return Recorded{
		Group: Group{Sequence: sequence, At: zero.Add(time.Duration(sequence) * time.Minute), Failed: failed}, Test: TestRule, Anomaly: ExecutableAnomalyRule,
		Runs: Runs{LatestSuccess: true, LastSuccess: "run-1"},
	}
}

func TestAnExecutableBangsAtItsThirdFailureOnceForEachStateOfTheRuns(t *testing.T) {
	var p Promise
	var bangs []uint64
	for n := uint64(1); n <= 6; n++ {
		if effect, _ := p.Step(recorded(n, true)); effect.Has(Bang) {
			bangs = append(bangs, n)
		}
	}
	after := recorded(7, true)
	after.Runs.LastSuccess = "run-2"
	if effect, _ := p.Step(after); effect.Has(Bang) {
		bangs = append(bangs, 7)
	}
	if !slices.Equal(bangs, []uint64{3, 7}) {
		t.Errorf("bangs at groups %v, want 3 and 7", bangs)
	}
}

func TestWhatDoesNotBang(t *testing.T) {
	for name, change := range map[string]func(*Recorded){
		"a group that a run asked for":        func(r *Recorded) { r.Asked = true },
		"a replayed group":                    func(r *Recorded) { r.Replayed = true },
		"a group while the latest run is bad": func(r *Recorded) { r.Runs.LatestSuccess = false },
	} {
		t.Run(name, func(t *testing.T) {
			var p Promise
			p.Step(recorded(2, true))
			p.Step(recorded(3, true))
			third := recorded(4, true)
			change(&third)
			if effect, reason := p.Step(third); effect.Has(Bang) {
				t.Errorf("banged: %s", reason)
			} else if !p.Verdict().Anomaly {
				t.Error("no anomaly: it must be seen all the same")
			}
		})
	}
}

func TestAPromiseThatMayNotBangIsToldAsSuch(t *testing.T) {
	var p Promise
	p.Step(recorded(1, true))
	p.Step(recorded(2, true))
	third := recorded(3, true)
	third.BangDisabled = true
	if effect, _ := p.Step(third); effect.Has(Bang) || !effect.Has(BangNotAllowed) {
		t.Errorf("got effect %b, want not allowed", effect)
	}
}

func TestABangThatCouldNotBeToldIsTriedWithTheNextGroup(t *testing.T) {
	var p Promise
	for n := uint64(1); n <= 3; n++ {
		p.Step(recorded(n, true))
	}
	p.Unsent()
	if effect, _ := p.Step(recorded(4, true)); !effect.Has(Bang) {
		t.Error("no bang")
	}
}

func TestAGroupThatIsMissingEndsTheWindowUntilItComes(t *testing.T) {
	group := func(sequence, previous uint64) Recorded {
		r := recorded(sequence, true)
		r.Group.Previous = previous
		return r
	}
	var p Promise
	p.Step(group(1, 0))
	p.Step(group(2, 1))
	if effect, why := p.Step(group(1004, 1003)); effect.Has(Bang) || p.Complete() {
		t.Errorf("three of three with a hole in between: %s", why)
	}
	if effect, _ := p.Step(group(1003, 2)); !effect.Has(Bang) || !p.Complete() {
		t.Errorf("no bang, or not complete, although the missing group came: %v", p.Groups())
	}
}

func FuzzWindow(f *testing.F) {
	f.Add([]byte{1, 2, 3, 2, 9, 4}, uint8(3))
	f.Fuzz(func(t *testing.T, sequences []byte, size uint8) {
		var w Window
		w.Resize(int(size))
		for _, s := range sequences {
			w.Add(Group{Sequence: uint64(s)})
			if len(w.Groups()) > max(1, int(size)) {
				t.Fatalf("%d groups in a window of %d", len(w.Groups()), size)
			}
			for i := 1; i < len(w.Groups()); i++ {
				if w.Groups()[i-1].Sequence >= w.Groups()[i].Sequence {
					t.Fatalf("out of order: %v", w.Groups())
				}
			}
		}
	})
}

func BenchmarkStep(b *testing.B) {
	for _, size := range []int{1, 3, 10, 100} {
		b.Run(fmt.Sprintf("window of %d", size), func(b *testing.B) {
			var p Promise
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				n++
				r := recorded(n, n%2 == 0)
				r.Anomaly = Rule{ResultCount: size, FailureAmount: max(1, size/2)}
				p.Step(r)
			}
		})
	}
}
