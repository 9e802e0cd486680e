package fleet

import (
	"slices"
	"time"
)

// Registered is what a computer that holds members of the tree was registered as.
type Registered struct {
	Computer string
	// Period is the computer's periodicity.
	Period time.Duration
	// Addresses are those of its partitions, by name.
	Addresses map[string][]string
	Trace     Trace
}

// RegisteredAnswer tells what it changed.
type RegisteredAnswer struct {
	// Periods is how many members have another period, Woken which instances have other addresses.
	Periods int
	Woken   []string
}

// Heard tells that Registered would change nothing.
func (t *Tree) Heard(e Registered) bool {
	for _, m := range t.view().order {
		if p := m.partition; p.Computer == e.Computer && (p.ComputerPeriod != e.Period || p.Addresses == nil || !slices.Equal(p.Addresses, e.Addresses[p.Name])) {
			return false
		}
	}
	return true
}

// Registered takes over the periodicity of a computer and the addresses of its partitions. Nobody runs because of another period; the membership moves, so that
// followers read it. A partition's addresses are part of what its profile sees, so that other ones are a change of its instance (cause changed); those that
// were not known before wake nobody. It never fails.
func (t *Tree) Registered(e Registered, now time.Time) (RegisteredAnswer, Effects, error) {
	unsettled := t.Unsettled()
	var fx Effects
	var answer RegisteredAnswer
	var woken []*Instance
	for _, m := range t.view().order {
		p := m.partition
		if p.Computer != e.Computer {
			continue
		}
		period, addresses := p.ComputerPeriod != e.Period, Known(e.Addresses[p.Name])
		if !period && p.Addresses != nil && slices.Equal(p.Addresses, addresses) {
			continue
		}
		if period {
			answer.Periods++
		}
		if p.Addresses != nil && !slices.Equal(p.Addresses, addresses) && m.instance.State != Destroyed {
			woken = append(woken, m.instance)
			answer.Woken = append(answer.Woken, m.instance.ID)
		}
		p.ComputerPeriod, p.Addresses = e.Period, addresses
		fx.Changed.Partitions = append(fx.Changed.Partitions, p.InstanceID)
	}
	if answer.Periods > 0 {
		t.periodsChanged(&fx, now, e.Trace)
	}
	if len(woken) > 0 {
		t.changed(&fx, woken, true, 0, e.Trace, now)
	}
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

// Known makes addresses known, also when there are none.
func Known(addresses []string) []string {
	if addresses == nil {
		return []string{}
	}
	return slices.Clone(addresses)
}
