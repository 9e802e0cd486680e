package watch

import (
	"fmt"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
)

const (
	// lingers is how long a convergence that ended is shown.
	lingers = 15 * time.Second
	// quiet is after how long what a stream that was opened again did not tell any more is taken to be gone: it begins with all there is.
	quiet = 30 * time.Second
)

// Change is one thing that turned.
type Change struct {
	At time.Time `json:"at"`
	// Kind is tree, computer or convergence.
	Kind string `json:"kind"`
	// Name is the title of the tree, or the name of the computer.
	Name string `json:"name"`
	// ID is that of the tree or of the convergence.
	ID string `json:"id,omitempty"`
	// Colour now; of a convergence its state.
	Colour string `json:"colour,omitempty"`
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Settled of Members; of a convergence.
	Settled int `json:"settled,omitempty"`
	Members int `json:"members,omitempty"`
	// Seconds since its bang, or from its bang to its end.
	Seconds float64 `json:"duration_seconds,omitempty"`
}

// String is the change as a line, without its time.
func (c Change) String() string {
	what := c.Colour
	if c.Kind == "convergence" {
		what = fmt.Sprintf("%s, %d of %d settled after %s", c.State, c.Settled, c.Members, human.Span(time.Duration(c.Seconds*float64(time.Second))))
	}
	return strings.TrimRight(fmt.Sprintf("%-11s  %-20s  %-8s  %s", c.Kind, clean(c.Name), what, human.OneLine(clean(c.Reason), 160)), " ")
}

// thing is a tree or a computer.
type thing struct {
	id, name string
	colour   *typev1.ColourStatus
	next     time.Time
	running  int
	paused   bool
	heard    time.Time
}

// convergence is one that is open, or was a moment ago.
type convergence struct {
	*masterv1.Convergence
	heard time.Time
}

// Board is what is known.
type Board struct {
	// Waiting is of how many trees the convergences are not followed yet.
	Waiting int

	trees, computers map[string]*thing
	convergences     map[string]convergence
	// shown is what was told of each thing last.
	shown map[string]string
	// away is since when which service does not answer; opened when the stream of a kind was opened again.
	away, opened map[string]time.Time
}

// New has nothing on it.
func New() *Board {
	return &Board{
		trees: map[string]*thing{}, computers: map[string]*thing{}, convergences: map[string]convergence{}, shown: map[string]string{},
		away: map[string]time.Time{}, opened: map[string]time.Time{},
	}
}

// Away says that a service does not answer.
func (b *Board) Away(service string, now time.Time) {
	if _, known := b.away[service]; !known {
		b.away[service] = now
	}
}

// Back says that it does.
func (b *Board) Back(service string) { delete(b.away, service) }

// Opened says that the stream of trees or computers begins anew.
func (b *Board) Opened(kind string, now time.Time) { b.opened[kind] = now }

// Tree takes a tree's colour.
func (b *Board) Tree(m *masterv1.WatchTreeColoursResponse, now time.Time) []Change {
	return b.take("tree", b.trees, m.GetTreeId(), m.GetTitle(), m.GetColour(), now)
}

// Computer takes a computer's colour.
func (b *Board) Computer(m *masterv1.WatchComputerColoursResponse, now time.Time) []Change {
	return b.take("computer", b.computers, m.GetComputer(), m.GetComputer(), m.GetColour(), now)
}

func (b *Board) take(kind string, all map[string]*thing, id, name string, colour *typev1.ColourStatus, now time.Time) []Change {
	t := all[id]
	if t == nil {
		t = &thing{id: id}
		all[id] = t
	}
	if name != "" {
		t.name = name
	}
	t.colour, t.heard = colour, now
	change := Change{At: now, Kind: kind, Name: t.name, Colour: word(colour), Reason: colour.GetReason()}
	if kind == "tree" {
		change.ID = id
	}
	if colour == nil {
		delete(all, id)
		change.Colour = "gone"
	}
	return b.news(kind+" "+id, change.Colour+change.Reason, change)
}

// Convergence takes one as it stands.
func (b *Board) Convergence(c *masterv1.Convergence, now time.Time) []Change {
	b.convergences[c.GetConvergenceId()] = convergence{c, now}
	settled, _, blocker := progress(c)
	change := Change{
		At: now, Kind: "convergence", Name: c.GetTitle(), ID: c.GetConvergenceId(), State: human.Word(c.GetState(), "CONVERGENCE_STATE_"), Settled: settled, Members: len(c.GetMembers()),
		Seconds: c.GetDurationSeconds(), Reason: blocker,
	}
	return b.news("convergence "+c.GetConvergenceId(), fmt.Sprint(change.State, settled, blocker), change)
}

// Agenda takes the whole agenda: when something of each tree runs next.
func (b *Board) Agenda(entries []*schedulerv1.AgendaEntry) {
	for _, t := range b.trees {
		t.next, t.running, t.paused = time.Time{}, 0, false
	}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.GetAllocationId(), ".")
		t := b.trees[id]
		if t == nil {
			continue
		}
		t.paused = t.paused || e.GetPause() != nil
		switch due := e.GetDueAt(); {
		case e.GetBegun():
			t.running++
		case due != nil && (t.next.IsZero() || due.AsTime().Before(t.next)):
			t.next = due.AsTime()
		}
	}
}

// Sweep drops what is over.
func (b *Board) Sweep(now time.Time) {
	for id, c := range b.convergences {
		if c.GetClosedAt() != nil && now.Sub(c.heard) > lingers {
			delete(b.convergences, id)
			delete(b.shown, "convergence "+id)
		}
	}
	for kind, all := range map[string]map[string]*thing{"tree": b.trees, "computer": b.computers} {
		if opened := b.opened[kind]; now.Sub(opened) > quiet {
			for id, t := range all {
				if t.heard.Before(opened) {
					delete(all, id)
					delete(b.shown, kind+" "+id)
				}
			}
		}
	}
}

// news is the change if it was not told before.
func (b *Board) news(key, state string, c Change) []Change {
	if b.shown[key] == state {
		return nil
	}
	b.shown[key] = state
	if c.Colour == "gone" {
		delete(b.shown, key)
	}
	return []Change{c}
}

// progress counts the members that are settled and those that run, and tells what the first of the others waits for.
func progress(c *masterv1.Convergence) (settled, running int, blocker string) {
	for _, m := range c.GetMembers() {
		switch {
		case m.GetSettled():
			settled++
			continue
		case m.GetRunInProgress() != "":
			running++
		}
		if blocker == "" && m.GetBlocker() != "" {
			blocker = m.GetTitle() + " (" + m.GetComputer() + "/" + m.GetPartition() + "): " + m.GetBlocker()
		}
	}
	return settled, running, blocker
}

// word names a colour.
func word(c *typev1.ColourStatus) string {
	switch c.GetColour() {
	case typev1.Colour_COLOUR_GREEN:
		return "Green"
	case typev1.Colour_COLOUR_ORANGE:
		return "Orange"
	case typev1.Colour_COLOUR_RED:
		if c.GetUnconfirmed() {
			return "Red?"
		}
		return "Red"
	case typev1.Colour_COLOUR_UNSPECIFIED:
	}
	return "-"
}

// clean makes spaces of control characters: what a promise printed must not reach into the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
