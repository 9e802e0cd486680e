package agenda_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// world is the dumb model: a master with numbers, a node that holds orders, and a feed that may be late, lost or repeated.
type world struct {
	now       time.Time
	a         *agenda.Agenda
	session   uint64
	slots     int
	connected bool
	paused    bool

	gen    uint64
	bang   uint64
	tokens uint64
	parts  map[string]*truth
	feed   []agenda.Event // told and not applied
	// handed are the run ids handed over for the present occasion of a partition: since its last begin.
	handed map[string]map[string]bool
	known  map[string]agenda.Order // run id -> order that the node has
	begun  map[string]bool         // run ids that began: the node ignores their orders
}

// truth is what svc-master knows of a partition.
type truth struct {
	allocation      string
	wanted, settled uint64
	changed         uint64
	cause           agenda.Cause
	bang            *agenda.Bang
	run             agenda.RunSeen
	latest          agenda.RunEnded
}

func newWorld() *world {
	return &world{
		now: start, a: agenda.New("c1"), parts: map[string]*truth{}, handed: map[string]map[string]bool{}, known: map[string]agenda.Order{},
		begun: map[string]bool{},
	}
}

func (w *world) reading() agenda.Allocations {
	ev := agenda.Allocations{Scope: agenda.OfComputer, Asked: w.now}
	for _, p := range slices.Sorted(maps.Keys(w.parts)) {
		t := w.parts[p]
		l := agenda.Allocation{
			AllocationID: t.allocation, InstanceID: "i" + p, TreeID: "t" + p[len(p)-1:], Partition: p, Period: time.Hour,
			Wanted: gen(t.wanted), Settled: gen(t.settled), Changed: gen(t.changed), WantedCause: t.cause, Run: t.run, Latest: t.latest,
		}
		if t.bang != nil && t.bang.Generation.Number > t.settled {
			l.Bang = t.bang
		}
		ev.List = append(ev.List, l)
	}
	return ev
}

func gen(n uint64) agenda.Generation {
	if n == 0 {
		return agenda.Generation{}
	}
	return agenda.Generation{Epoch: 1, Number: n}
}

// apply applies events and asserts what must hold after every step.
func (w *world) apply(t failing, events ...agenda.Event) {
	t.Helper()
	before := w.a.Clone()
	o := w.a.Apply(w.now, events...)
	if err := w.a.Check(); err != nil {
		t.Fatal(err)
	}
	checkOverdue(t, w.a, w.now)
	if len(o.Orders) > 0 && (!w.connected || w.paused) {
		t.Fatalf("orders were handed over without a stream or while paused: %v", o.Orders)
	}
	if fresh := w.a.Active(); fresh > max(w.slots, before.Active()) && w.connected && len(o.Orders) > 0 && before.Active() < fresh {
		// The node's own runs may use more slots; orders may not.
		for _, order := range o.Orders {
			if !order.Again && fresh > w.slots {
				t.Fatalf("%d orders are unreported with %d slots", fresh, w.slots)
			}
		}
	}
	for _, order := range o.Orders {
		if !slices.Contains(o.Stored, order.Partition) {
			t.Fatalf("the order of %s is not stored", order.Partition)
		}
		if w.begun[order.RunID] {
			continue // its begin is on its way in the feed
		}
		if w.handed[order.Partition] == nil {
			w.handed[order.Partition] = map[string]bool{}
		}
		w.handed[order.Partition][order.RunID] = true
		if len(w.handed[order.Partition]) > 1 {
			t.Fatalf("two run ids for one occasion of %s before it began: %v", order.Partition, w.handed[order.Partition])
		}
		w.known[order.RunID] = order
	}
	if w.connected && !w.paused && o.Wake.IsZero() && len(w.a.Entries) > 0 && w.a.Active() == 0 {
		t.Fatalf("nothing is active and nothing will wake %d entries", len(w.a.Entries))
	}
}

// deliver applies what the feed told so far.
func (w *world) deliver(t failing) {
	events := w.feed
	w.feed = nil
	w.apply(t, events...)
}

func (w *world) tellBang(target string) {
	w.gen++
	w.bang++
	b := agenda.Bang{ID: fmt.Sprintf("b%d", w.bang), Number: w.bang, At: w.now, Generation: gen(w.gen)}
	for _, p := range slices.Sorted(maps.Keys(w.parts)) {
		if target != "" && p != target {
			continue
		}
		t := w.parts[p]
		t.wanted, t.cause, t.bang = w.gen, agenda.FromBang, &b
		w.feed = append(w.feed, agenda.Wanted{Partition: p, AllocationID: t.allocation, Generation: gen(w.gen), Cause: agenda.FromBang, Bang: b, At: w.now})
	}
}

func (w *world) begin(p, run string) {
	t := w.parts[p]
	w.tokens++
	t.run = agenda.RunSeen{RunID: run, Token: w.tokens, Generation: gen(t.wanted)}
	w.feed = append(w.feed, agenda.Begun{Partition: p, AllocationID: t.allocation, RunSeen: t.run})
	w.begun[run] = true
	delete(w.handed, p)
}

func (w *world) report(p string, success bool) {
	t := w.parts[p]
	t.latest = agenda.RunEnded{RunID: t.run.RunID, Success: success, Result: "failure", At: w.now, Attempt: t.latest.Attempt + 1}
	if success {
		t.settled, t.latest.Attempt = t.run.Generation.Number, 0
	}
	w.feed = append(w.feed, agenda.Reported{Partition: p, AllocationID: t.allocation, Token: t.run.Token, Generation: t.run.Generation, RunEnded: t.latest})
	t.run = agenda.RunSeen{}
	delete(w.handed, p)
}

func (w *world) open(t failing, boot string) {
	w.session++
	w.connected = true
	var running []string
	for _, tr := range w.parts {
		if tr.run.RunID != "" {
			running = append(running, tr.run.RunID)
		}
	}
	w.feed = nil // what the feed told before the reading is in the reading
	w.apply(t, w.reading(), agenda.StreamOpened{Session: w.session, Slots: w.slots, BootID: boot, Running: running})
}

// TestWhateverHappensEverythingWantedRuns drives the agenda with random events, a lossy feed and crashes, and asserts after each step
// that the invariants hold; at the end, with a reading and a node that works, everything wanted is settled.
func TestWhateverHappensEverythingWantedRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.slots = rapid.IntRange(1, 4).Draw(t, "slots")
		partitions := []string{"p1", "p2", "p3", "p4", "p5"}
		some := func(filter func(*truth) bool) (string, bool) {
			var names []string
			for _, p := range partitions {
				if tr := w.parts[p]; tr != nil && filter(tr) {
					names = append(names, p)
				}
			}
			if len(names) == 0 {
				return "", false
			}
			return rapid.SampledFrom(names).Draw(t, "partition"), true
		}
		allocations := 0
		t.Repeat(map[string]func(*rapid.T){
			"allocate": func(t *rapid.T) {
				p := rapid.SampledFrom(partitions).Draw(t, "partition")
				allocations++
				w.gen++
				w.parts[p] = &truth{allocation: fmt.Sprintf("a%d", allocations), wanted: w.gen, changed: w.gen, cause: agenda.Changed}
				delete(w.handed, p)
				w.apply(t, w.reading())
			},
			"free": func(t *rapid.T) {
				if p, ok := some(func(*truth) bool { return true }); ok {
					delete(w.parts, p)
					delete(w.handed, p)
					w.apply(t, w.reading())
				}
			},
			"bang": func(t *rapid.T) { w.tellBang("") },
			"change": func(t *rapid.T) {
				if p, ok := some(func(*truth) bool { return true }); ok {
					w.gen++
					tr := w.parts[p]
					tr.wanted, tr.changed, tr.cause = w.gen, w.gen, agenda.Changed
					w.feed = append(w.feed, agenda.Wanted{Partition: p, AllocationID: tr.allocation, Generation: gen(w.gen), Cause: agenda.Changed, At: w.now})
				}
			},
			"begin an order": func(t *rapid.T) {
				for _, id := range slices.Sorted(maps.Keys(w.known)) {
					order := w.known[id]
					if tr := w.parts[order.Partition]; tr != nil && tr.allocation == order.AllocationID && tr.run.RunID == "" {
						w.begin(order.Partition, id)
						delete(w.known, id)
						return
					}
					delete(w.known, id)
				}
			},
			"begin a run of the node's own": func(t *rapid.T) {
				if p, ok := some(func(tr *truth) bool { return tr.run.RunID == "" }); ok {
					w.begin(p, fmt.Sprintf("own%d", w.tokens))
				}
			},
			"report": func(t *rapid.T) {
				if p, ok := some(func(tr *truth) bool { return tr.run.RunID != "" }); ok {
					w.report(p, rapid.Bool().Draw(t, "success"))
				}
			},
			"feed arrives": func(t *rapid.T) { w.deliver(t) },
			"feed arrives twice": func(t *rapid.T) {
				twice := slices.Concat(w.feed, w.feed)
				w.feed = nil
				w.apply(t, twice...)
			},
			"feed is lost, the truth is read": func(t *rapid.T) {
				w.feed = nil
				w.apply(t, w.reading())
			},
			"time passes": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 600_000).Draw(t, "ms")) * time.Millisecond)
				w.apply(t, agenda.Due{})
			},
			"open": func(t *rapid.T) { w.open(t, rapid.SampledFrom([]string{"boot1", "boot2"}).Draw(t, "boot")) },
			"close": func(t *rapid.T) {
				w.connected = false
				w.apply(t, agenda.StreamClosed{Session: w.session})
			},
			"pause": func(t *rapid.T) {
				w.paused = true
				w.apply(t, agenda.Pause{Reason: "test"})
			},
			"resume": func(t *rapid.T) {
				w.paused = false
				w.apply(t, agenda.Resume{})
			},
			"run now": func(t *rapid.T) {
				if p, ok := some(func(*truth) bool { return true }); ok {
					w.apply(t, agenda.RunNow{Partition: p, RequestID: fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "request"))})
				}
			},
			"replica dies": func(t *rapid.T) { w.a = w.a.Clone() },
		})
		w.finish(t)
	})
}

// finish lets a node that works do everything, and asserts that nothing that is wanted was forgotten.
func (w *world) finish(t failing) {
	t.Helper()
	w.paused = false
	w.apply(t, agenda.Resume{})
	for _, p := range slices.Sorted(maps.Keys(w.parts)) {
		if w.parts[p].run.RunID != "" {
			w.report(p, false)
		}
	}
	w.open(t, "boot1")
	for step := 0; ; step++ {
		unsettled := 0
		for _, tr := range w.parts {
			if tr.wanted > tr.settled {
				unsettled++
			}
		}
		if unsettled == 0 {
			return
		}
		if step > 200 {
			t.Fatalf("%d partitions are wanted and never run", unsettled)
		}
		for _, id := range slices.Sorted(maps.Keys(w.known)) {
			order := w.known[id]
			delete(w.known, id)
			if tr := w.parts[order.Partition]; tr != nil && tr.allocation == order.AllocationID {
				w.begin(order.Partition, id)
				w.report(order.Partition, true)
			}
		}
		w.deliver(t)
		if next := w.a.Apply(w.now, agenda.Due{}); !next.Wake.IsZero() && next.Wake.After(w.now) {
			for _, order := range next.Orders {
				if !w.begun[order.RunID] {
					w.known[order.RunID] = order
				}
			}
			w.now = next.Wake
		}
		w.apply(t, agenda.Due{})
	}
}

// failing is what *testing.T and *rapid.T have in common.
type failing interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
