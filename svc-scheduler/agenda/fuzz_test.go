package agenda_test

import (
	"testing"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// FuzzApply gives the agenda events that no master would send, in any order, and asserts its invariants after each.
func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 3, 4, 1, 9, 5, 1, 1, 1, 6, 1, 1, 1})
	f.Add([]byte{0, 7, 2, 2, 1, 1, 1, 7, 3, 0, 0, 0, 2, 2, 2, 250})
	f.Fuzz(func(t *testing.T, data []byte) {
		a := agenda.New("c1")
		now := start
		for len(data) >= 4 {
			what, x, y, z := data[0]%13, uint64(data[1]%5), uint64(data[2]), data[3]
			data = data[4:]
			p, alloc := "p"+string(rune('0'+x)), "a"+string(rune('0'+z%2))
			g := agenda.Generation{Epoch: 1 + uint64(z%3), Number: y}
			run := agenda.RunSeen{RunID: p + "r" + string(rune('0'+z%5)), Token: y % 16, Generation: g}
			if e := a.Entries[p]; e != nil && z > 128 && e.Run.ID != "" {
				run.RunID = e.Run.ID
			}
			end := agenda.RunEnded{RunID: run.RunID, Success: z%2 == 0, At: now.Add(time.Duration(int(y)-128) * time.Minute), Attempt: int(z % 7)}
			var event agenda.Event
			switch what {
			case 0:
				list := []agenda.Allocation{{
					AllocationID: alloc, InstanceID: "i", TreeID: "t" + string(rune('0'+x%2)), Partition: p, Period: time.Duration(z) * time.Minute,
					Wanted: g, Settled: agenda.Generation{Epoch: g.Epoch, Number: y / 2}, Changed: agenda.Generation{Epoch: g.Epoch, Number: y / 3},
					WantedCause: agenda.Cause(2 + z%2),
				}}
				if z%5 == 3 {
					list[0].Pause = agenda.Paused{Generation: g, Until: now.Add(time.Duration(int(y)-128) * time.Minute)}
				}
				if z%4 == 1 {
					list[0].Run = run
				}
				if z%4 == 2 {
					list[0].Latest = end
				}
				event = agenda.Allocations{List: list, Scope: agenda.Scope(z % 3), Tree: "t0", Asked: now.Add(time.Duration(int(z)-128) * time.Second)}
			case 1:
				event = agenda.StreamOpened{Session: y, Slots: int(z % 4), BootID: "b" + string(rune('0'+z%2)), Running: []string{run.RunID}}
			case 2:
				event = agenda.StreamClosed{Session: y}
			case 3:
				event = agenda.Wanted{Partition: p, AllocationID: alloc, Generation: g, Cause: agenda.FromBang, Bang: agenda.Bang{ID: "b" + string(rune(y)), Number: y, At: now}, At: now, Delay: time.Duration(z) * time.Second}
			case 4:
				event = agenda.Wanted{Partition: p, AllocationID: alloc, Generation: g, Cause: agenda.Changed, At: now.Add(time.Hour), Delay: time.Duration(z) * time.Second}
			case 5:
				event = agenda.Begun{Partition: p, AllocationID: alloc, RunSeen: run}
			case 6:
				event = agenda.Reported{Partition: p, AllocationID: alloc, Token: run.Token, Generation: g, RunEnded: end}
			case 7:
				event = agenda.RunNow{Partition: p, RequestID: string(rune('a' + z%26))}
			case 8:
				event = agenda.Pause{For: time.Duration(z) * time.Second}
			case 9:
				event = agenda.Resume{}
			case 10:
				a = a.Clone()
				event = agenda.Due{}
			case 11:
				event = agenda.Cancel{Partition: p, RequestID: string(rune('a' + z%26))}
			default:
				now = now.Add(time.Duration(int(z)-20) * time.Duration(y) * time.Second) // also back
				event = agenda.Due{}
			}
			a.Apply(now, event)
			if err := a.Check(); err != nil {
				t.Fatalf("after %#v: %v", event, err)
			}
		}
	})
}
