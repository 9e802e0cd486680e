package agenda

import (
	"fmt"
	"slices"
	"time"
)

// Saying is something that was decided, in words. It is put into words when somebody reads it: most are never read, and formatting them cost a
// twentieth of an order.
type Saying struct {
	format string
	args   []any
}

// String is the words.
func (s Saying) String() string { return fmt.Sprintf(s.format, s.args...) }

// MarshalText is the words, for logs.
func (s Saying) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Decision is what was decided about a partition, and when.
type Decision struct {
	At time.Time
	Saying
}

// MaxDecisions bounds the decisions that an entry remembers, the newest: about what one run takes, twice. They are in memory only and begin anew with a stream.
const MaxDecisions = 12

// Decisions are the newest, newest first.
func (e *Entry) Decisions() []Decision {
	newest := slices.Clone(e.decisions)
	slices.Reverse(newest)
	return newest
}

// MaxReasons bounds what one Apply says: a reading may touch 1,000 partitions, and people read the first.
const MaxReasons = 50

// say notes what was decided about the computer, or about a partition that is not there.
func (a *Agenda) say(format string, args ...any) {
	if len(a.change.reasons) < MaxReasons {
		a.change.reasons = append(a.change.reasons, Saying{format, args})
	}
}

// tell notes what was decided about an entry.
func (a *Agenda) tell(e *Entry, now time.Time, format string, args ...any) {
	a.say(format, args...)
	e.remember(now, format, args...)
}

func (e *Entry) remember(now time.Time, format string, args ...any) {
	if len(e.decisions) == MaxDecisions {
		copy(e.decisions, e.decisions[1:])
		e.decisions = e.decisions[:MaxDecisions-1]
	}
	e.decisions = append(e.decisions, Decision{now, Saying{format, args}})
}

// clock is a time of day in a saying.
type clock time.Time

func (c clock) String() string { return stamp(time.Time(c)) }
