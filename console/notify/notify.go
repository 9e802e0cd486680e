package notify

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Bounds.
const (
	// MaxThings is how many things are remembered; the one that was observed longest ago gives way.
	MaxThings = 50_000
	// MaxItems is how many lines a message has; the others are counted.
	MaxItems = 50
	// MaxWaiting is how many messages wait for a receiver; the oldest gives way.
	MaxWaiting = 100
	// GiveUp is for how long a delivery is tried.
	GiveUp = 24 * time.Hour
)

// Kind is what is told of a thing.
type Kind string

// The kinds.
const (
	TreeRed      Kind = "tree_red"
	TreeGreen    Kind = "tree_green"
	BangsRefused Kind = "bangs_refused"
	ComputerDead Kind = "computer_dead"
	ComputerBack Kind = "computer_back"
)

// good says that all is well: it is told only after something else was.
func (k Kind) good() bool { return k == TreeGreen || k == ComputerBack }

// Fact is what is the case with a thing.
type Fact struct {
	// Thing is what it is about: "tree/hello", "bangs/hello", "computer/rack7".
	Thing string `json:"thing"`
	Kind  Kind   `json:"kind"`
	// Name is its title or name, Text why, for people; Link its story.
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
	Link string `json:"link,omitempty"`
	// Once tells facts of one kind apart: the day of refused bangs.
	Once string `json:"once,omitempty"`
	// Since is when it began.
	Since time.Time `json:"since"`
}

// same says that nothing new is told with it.
func (f Fact) same(other Fact) bool { return f.Kind == other.Kind && f.Once == other.Once }

// Thing is what is known of a thing, and what was told of it.
type Thing struct {
	Now Fact `json:"now"`
	// Turned is when it became so, as it was observed here.
	Turned time.Time `json:"turned"`
	// Told is what was told last; nothing was if it has no kind.
	Told Fact `json:"told,omitzero"`
}

// Silence keeps things from being told until a date.
type Silence struct {
	// Things is a pattern, as of path.Match.
	Things string    `json:"things"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
}

// Rules say what is told, and to whom.
type Rules struct {
	// Hold is for how long something is the case before it is told; Group for how long others are waited for then.
	Hold, Group time.Duration
	Silences    []Silence
	// Receivers are the names of those who are told.
	Receivers []string
}

// Message is what is sent.
type Message struct {
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Text  string    `json:"text"`
	Items []Fact    `json:"items"`
	// More are those that had no room.
	More int `json:"more,omitempty"`
}

// Delivery is a message on its way to a receiver.
type Delivery struct {
	Receiver string    `json:"receiver"`
	Message  Message   `json:"message"`
	Attempts int       `json:"attempts,omitempty"`
	Next     time.Time `json:"next,omitzero"`
}

// State is what is remembered over restarts.
type State struct {
	// ByName are the things by what they are about.
	Things map[string]*Thing `json:"things"`
	// Grouping is when the message that is being gathered is sent; zero = nothing is due.
	Grouping time.Time `json:"grouping,omitzero"`
	// Sequence numbers the messages.
	Sequence uint64 `json:"sequence"`
	// Outbox is what is not delivered, the oldest first.
	Outbox []Delivery `json:"outbox,omitempty"`
	// Begun is when the first of these was made: with the sequence it makes ids that are never used again.
	Begun time.Time `json:"begun"`
}

// Observe writes down what is the case; whether that is new.
func (s *State) Observe(f Fact, now time.Time) bool {
	if s.Things == nil {
		s.Things = map[string]*Thing{}
	}
	t := s.Things[f.Thing]
	if t == nil {
		if f.Kind.good() {
			return false // nothing was told, nothing is to be
		}
		if len(s.Things) >= MaxThings {
			delete(s.Things, slices.MinFunc(slices.Collect(maps.Keys(s.Things)), func(a, b string) int {
				return cmp.Or(s.Things[a].Turned.Compare(s.Things[b].Turned), cmp.Compare(a, b))
			}))
		}
		t = &Thing{}
		s.Things[f.Thing] = t
	}
	if t.Now.same(f) {
		t.Now.Text, t.Now.Link = f.Text, f.Link
		return false
	}
	t.Now, t.Turned = f, now
	if f.Kind.good() && (t.Told.Kind == "" || t.Told.Kind.good()) {
		delete(s.Things, f.Thing) // it turned back before it was told
	}
	return true
}

// Gone forgets a thing.
func (s *State) Gone(thing string) bool {
	_, known := s.Things[thing]
	delete(s.Things, thing)
	return known
}

// Step makes a message of what is due, if it is time; whether anything changed, and how many deliveries gave way.
func (s *State) Step(r Rules, now time.Time) (changed bool, dropped int) {
	due := s.due(r, now)
	switch {
	case len(due) == 0:
		changed = !s.Grouping.IsZero()
		s.Grouping = time.Time{} // all turned back meanwhile
	case s.Grouping.IsZero():
		s.Grouping, changed = now.Add(r.Group), true
	}
	if !s.Grouping.IsZero() && !now.Before(s.Grouping) {
		m := s.message(due, now)
		for _, receiver := range r.Receivers {
			s.Outbox = append(s.Outbox, Delivery{Receiver: receiver, Message: m})
		}
		s.Grouping, changed = time.Time{}, true
	}
	kept := s.Outbox[:0]
	waiting := map[string]int{}
	for _, d := range s.Outbox {
		waiting[d.Receiver]++
	}
	for _, d := range s.Outbox {
		switch {
		case !slices.Contains(r.Receivers, d.Receiver): // nobody has that name any more
		case waiting[d.Receiver] > MaxWaiting, now.Sub(d.Message.At) > GiveUp:
			dropped++
		default:
			kept = append(kept, d)
			continue
		}
		waiting[d.Receiver]--
		changed = true
	}
	s.Outbox = kept
	return changed, dropped
}

// due are the things whose fact has held, is not silenced, and differs from what was told; by kind and name.
func (s *State) due(r Rules, now time.Time) (due []*Thing) {
	for name, t := range s.Things {
		if !t.Now.same(t.Told) && now.Sub(t.Turned) >= r.Hold && !r.silenced(name, now) {
			due = append(due, t)
		}
	}
	order := []Kind{ComputerDead, TreeRed, BangsRefused, ComputerBack, TreeGreen}
	slices.SortFunc(due, func(a, b *Thing) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Now.Kind), slices.Index(order, b.Now.Kind)), cmp.Compare(a.Now.Thing, b.Now.Thing))
	})
	return due
}

func (r Rules) silenced(thing string, now time.Time) bool {
	return slices.ContainsFunc(r.Silences, func(s Silence) bool {
		matches, err := path.Match(s.Things, thing)
		return err == nil && matches && now.Before(s.Until)
	})
}

// message tells things, and remembers that it did.
func (s *State) message(due []*Thing, now time.Time) Message {
	if s.Begun.IsZero() {
		s.Begun = now
	}
	s.Sequence++
	m := Message{ID: fmt.Sprintf("%x-%d", s.Begun.UnixNano(), s.Sequence), At: now, More: max(0, len(due)-MaxItems)}
	counts := map[Kind]int{}
	for n, t := range due {
		counts[t.Now.Kind]++
		if n < MaxItems {
			m.Items = append(m.Items, t.Now)
		}
		if t.Told = t.Now; t.Now.Kind.good() {
			delete(s.Things, t.Now.Thing)
		}
	}
	m.Text = headline(m, counts)
	return m
}

// headline says all in a line: the one thing, or how many of each kind.
func headline(m Message, counts map[Kind]int) string {
	if len(m.Items) == 1 {
		return m.Items[0].String()
	}
	var parts []string
	for _, word := range []struct {
		kind      Kind
		one, many string
	}{
		{ComputerDead, "computer is dead", "computers are dead"},
		{TreeRed, "tree is Red", "trees are Red"},
		{BangsRefused, "tree has refused bangs", "trees have refused bangs"},
		{ComputerBack, "computer is back", "computers are back"},
		{TreeGreen, "tree is Green again", "trees are Green again"},
	} {
		switch n := counts[word.kind]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+word.one)
		default:
			parts = append(parts, fmt.Sprint(n, " ", word.many))
		}
	}
	return strings.Join(parts, ", ")
}

// String is the fact as a line.
func (f Fact) String() string {
	line := map[Kind]string{
		TreeRed: "tree %s is Red", TreeGreen: "tree %s is Green again", BangsRefused: "bangs of tree %s are refused", ComputerDead: "computer %s is dead", ComputerBack: "computer %s is back",
	}[f.Kind]
	line = fmt.Sprintf(line, f.Name)
	if f.Text != "" {
		line += ": " + f.Text
	}
	return line
}

// Due are the deliveries that may be tried now, at most one for each receiver: its messages come in their order.
func (s *State) Due(now time.Time) (due []Delivery) {
	seen := map[string]bool{}
	for _, d := range s.Outbox {
		if !seen[d.Receiver] && !now.Before(d.Next) {
			due = append(due, d)
		}
		seen[d.Receiver] = true
	}
	return due
}

// Delivered takes a delivery out: it was taken, or refused for good.
func (s *State) Delivered(receiver, id string) {
	s.Outbox = slices.DeleteFunc(s.Outbox, func(d Delivery) bool { return d.Receiver == receiver && d.Message.ID == id })
}

// Failed puts a delivery off.
func (s *State) Failed(receiver, id string, next func(attempt int) time.Time) {
	for i := range s.Outbox {
		if d := &s.Outbox[i]; d.Receiver == receiver && d.Message.ID == id {
			d.Attempts++
			d.Next = next(d.Attempts)
		}
	}
}
