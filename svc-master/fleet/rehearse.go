package fleet

import (
	"fmt"
	"slices"
	"time"
)

// Planned is a run that would follow from effects.
type Planned struct {
	InstanceID string
	Cause      Cause
	// Delay before it is due.
	Delay time.Duration
	// State that is wanted then.
	State State
}

// Planned tells which instances would run because of effects that were decided on this tree: each once, by instance id, for the cause that wins. Those without
// a partition are told only when they want one.
func (t *Tree) Planned(fx *Effects) []Planned {
	runs := map[string]Planned{}
	add := func(id string, cause Cause, delay time.Duration) {
		i := t.Instances[id]
		if i == nil || i.Shared || t.Partitions[id] == nil && !slices.Contains(fx.Place, id) {
			return
		}
		if old, known := runs[id]; known {
			cause, delay = min(cause, old.Cause), min(delay, old.Delay)
		}
		runs[id] = Planned{InstanceID: id, Cause: cause, Delay: delay, State: t.Desired(i)}
	}
	for at := range fx.Feed {
		entry := &fx.Feed[at]
		switch {
		case entry.Kind == FeedChanged:
			for _, id := range entry.InstanceIDs {
				add(id, CauseChanged, entry.Delay)
			}
		case entry.Kind == FeedBang && len(entry.Bang.InstanceIDs) > 0:
			for _, id := range entry.Bang.InstanceIDs {
				add(id, CauseBang, entry.Bang.Delay)
			}
		case entry.Kind == FeedBang:
			for id := range t.Partitions {
				add(id, CauseBang, entry.Bang.Delay)
			}
		}
	}
	for _, id := range fx.Place {
		add(id, CauseChanged, 0) // as soon as it is put somewhere
	}
	out := make([]Planned, 0, len(runs))
	for _, run := range runs {
		out = append(out, run)
	}
	slices.SortFunc(out, func(a, b Planned) int { return natural(a.InstanceID, b.InstanceID) })
	return out
}

// Elsewhere is a computer that was not chosen.
type Elsewhere struct{ Computer, Why string }

// WhyNot tells of each computer but the chosen one why it was not, by name.
func WhyNot(r PlaceRequest, computers []ComputerView, chosen string) []Elsewhere {
	var out []Elsewhere
	for at := range computers {
		c := &computers[at]
		if c.Name == chosen {
			continue
		}
		why := c.obstacle(&r)
		switch {
		case r.Computer != "" && c.Name != r.Computer:
			why = "the request asks for " + r.Computer
		case !c.Supplied:
			why = fmt.Sprintf("software release %s is not supplied to it", r.Release)
		case why == "":
			why = "it fits too, but " + chosen + " is emptier, or has more free partitions, or comes first by name"
		}
		out = append(out, Elsewhere{c.Name, why})
	}
	slices.SortFunc(out, func(a, b Elsewhere) int { return natural(a.Computer, b.Computer) })
	return out
}
