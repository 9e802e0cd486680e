package converge_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vow-os/vow/svc-node/converge"
)

// model is the dumb twin of a node: what was told, and what is in hand.
type model struct {
	holds   map[string]converge.Desired // by partition
	inHand  map[string]string           // run by partition
	of      map[string]string           // allocation of the run in hand, by partition
	done    map[string]bool             // runs
	ids     map[string]bool             // runs that the node made by itself
	stored  map[string]converge.Desired // what is on disk
	counted uint64
}

// TestNodeAgainstTheModel checks the invariants of doc.go after every step of random lives.
func TestNodeAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots = 2
		now := epoch
		node := converge.NewNode("c1", "boot-1", slots, 0, now)
		m := model{
			holds: map[string]converge.Desired{}, inHand: map[string]string{}, of: map[string]string{}, done: map[string]bool{}, ids: map[string]bool{},
			stored: map[string]converge.Desired{},
		}
		partition := rapid.SampledFrom([]string{"p0", "p1", "p2", "p3"})
		allocation := rapid.SampledFrom([]string{"t1.a1", "t1.a2", "t2.a1"})
		desired := rapid.Custom(func(t *rapid.T) converge.Desired {
			return converge.Desired{
				Partition: partition.Draw(t, "partition"), AllocationID: allocation.Draw(t, "allocation"),
				Generation: converge.Generation{Epoch: rapid.Uint64Range(1, 2).Draw(t, "epoch"), Number: rapid.Uint64Range(1, 5).Draw(t, "number")},
				Requested:  converge.Requested(rapid.Uint8Range(1, 3).Draw(t, "requested")), Period: time.Hour,
			}
		})
		step := func(e converge.Event) {
			var effects []converge.Effect
			node, effects, _ = node.Step(e, now)
			for _, effect := range effects {
				m.carry(t, effect)
			}
			m.check(t, node, slots)
		}
		run := 0
		t.Repeat(map[string]func(*rapid.T){
			"want": func(t *rapid.T) {
				d := desired.Draw(t, "desired")
				m.want(d, true)
				step(converge.Wanted{Items: []converge.Desired{d}})
			},
			"learn": func(t *rapid.T) {
				d := desired.Draw(t, "desired")
				m.want(d, false)
				step(converge.Learned{Item: d})
			},
			"free": func(t *rapid.T) {
				p := partition.Draw(t, "partition")
				delete(m.holds, p)
				step(converge.Wanted{Freed: []string{p}})
			},
			"order": func(t *rapid.T) {
				// Some runs are ordered again, as svc-scheduler does with those that did not begin.
				run += rapid.IntRange(0, 1).Draw(t, "new")
				step(converge.Ordered{Order: converge.Order{
					RunID: fmt.Sprintf("run-%d", run), Partition: partition.Draw(t, "partition"), AllocationID: allocation.Draw(t, "allocation"),
					Cause: converge.Cause(rapid.Uint8Range(1, 6).Draw(t, "cause")), Attempt: 1,
				}})
			},
			"end": func(t *rapid.T) {
				p := partition.Draw(t, "partition")
				id, ok := m.inHand[p]
				if !ok {
					id = "run-0" // an end that nobody waits for
				}
				delete(m.inHand, p)
				e := converge.Ended{
					Partition: p, RunID: id, Outcome: converge.Outcome(rapid.Uint8Range(1, 4).Draw(t, "outcome")),
					Result: converge.Result(rapid.Uint8Range(1, 6).Draw(t, "result")),
				}
				if ok && e.Outcome == converge.Done && m.of[p] == m.holds[p].AllocationID {
					m.done[p+"/"+id] = true
				}
				step(e)
			},
			"link": func(t *rapid.T) {
				step(converge.LinkChanged{
					Link: converge.Link(rapid.Uint8Range(1, 2).Draw(t, "link")), Up: rapid.Bool().Draw(t, "up"),
				})
			},
			"wake": func(t *rapid.T) {
				step(converge.Woken{Partition: rapid.SampledFrom([]string{"", "p0", "p1"}).Draw(t, "woken")})
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "seconds")) * time.Second)
				step(converge.Tick{})
			},
			"restart": func(t *rapid.T) {
				again := converge.NewNode("c1", "boot-1", slots, m.counted, now)
				for name, d := range m.stored {
					again = again.With(converge.Partition{Name: name, Desired: d}, now)
				}
				node, m.inHand, m.done = again, map[string]string{}, map[string]bool{}
				step(converge.Start{Rebooted: rapid.Bool().Draw(t, "rebooted")})
			},
		})
	})
}

// want does what a generation rule does that nobody optimised.
func (m *model) want(d converge.Desired, stream bool) {
	have, held := m.holds[d.Partition]
	switch {
	case held && have.AllocationID == d.AllocationID:
		if have.Generation.Less(d.Generation) {
			m.holds[d.Partition] = d
		}
	case stream:
		m.holds[d.Partition] = d
	}
}

func (m *model) carry(t *rapid.T, effect converge.Effect) {
	switch e := effect.(type) {
	case converge.StartRun:
		p := e.Run.Partition
		if id, running := m.inHand[p]; running {
			t.Fatalf("run %s starts in %s while %s is in hand", e.Run.RunID, p, id)
		}
		if m.done[p+"/"+e.Run.RunID] {
			t.Fatalf("run %s starts again although it is done", e.Run.RunID)
		}
		if e.Run.AllocationID != m.holds[p].AllocationID || e.Want != m.holds[p] {
			t.Fatalf("run %s is of %v, the partition holds %v", e.Run.RunID, e.Want, m.holds[p])
		}
		if e.Run.Own {
			if m.ids[e.Run.RunID] {
				t.Fatalf("run id %s was made twice", e.Run.RunID)
			}
			if n := len(e.Run.RunID); n < 16 || n > 64 {
				t.Fatalf("run id %s has %d bytes", e.Run.RunID, n)
			}
			if e.Run.Sequence > m.counted {
				t.Fatalf("run %d starts before its number is counted", e.Run.Sequence)
			}
			m.ids[e.Run.RunID] = true
		}
		if e.Run.Local && !e.Run.Own {
			t.Fatalf("an ordered run %s is local", e.Run.RunID)
		}
		m.inHand[p], m.of[p] = e.Run.RunID, e.Run.AllocationID
	case converge.Store:
		m.stored[e.Partition.Name] = e.Partition.Desired
	case converge.Forget:
		delete(m.stored, e.Partition)
		maps.DeleteFunc(m.done, func(run string, _ bool) bool { return strings.HasPrefix(run, e.Partition+"/") })
	case converge.Count:
		if e.Sequence <= m.counted {
			t.Fatalf("counted %d after %d", e.Sequence, m.counted)
		}
		m.counted = e.Sequence
	}
}

func (m *model) check(t *rapid.T, node converge.Node, slots int) {
	if len(m.inHand) > slots {
		t.Fatalf("%d runs are in hand, there are %d slots", len(m.inHand), slots)
	}
	if node.Running() != len(m.inHand) {
		t.Fatalf("the node counts %d runs, %d are in hand", node.Running(), len(m.inHand))
	}
	_, wakes := node.Due()
	waiting := 0
	for _, name := range []string{"p0", "p1", "p2", "p3"} {
		p := node.Partition(name)
		held := m.holds[name]
		if p.Desired != held {
			t.Fatalf("%s holds %v, was told %v", name, p.Desired, held)
		}
		if m.stored[name] != held {
			t.Fatalf("%s is %v on disk, was told %v", name, m.stored[name], held)
		}
		switch p.Phase {
		case converge.Idle:
			if !wakes {
				t.Fatalf("%s waits for ever", name)
			}
		case converge.Waiting:
			waiting++
		case converge.Free, converge.Running:
		}
	}
	if waiting > 0 && len(m.inHand) < slots {
		t.Fatalf("%d partitions wait although a slot is free", waiting)
	}
}
