package fleet

import "time"

// ComputerTurns is when time alone gives a computer another colour, if nothing is heard of it; zero = never.
func ComputerTurns(contact, now, start time.Time) time.Time {
	var next time.Time
	if contact.IsZero() {
		return next
	}
	for _, at := range []time.Time{contact.Add(GreenAge), contact.Add(OrangeAge), confirmed(start)} {
		next = sooner(next, at, now)
	}
	return next
}

// Turns is when time alone gives the tree, or a partition of it, another colour; zero = never.
func (t *Tree) Turns(now, start time.Time) time.Time {
	var next time.Time
	for _, m := range t.view().order {
		p := m.partition
		if m.instance.State != Started || p.Alarm != nil || p.Latest == nil || p.Latest.Result != Success {
			continue // its colour does not depend on time
		}
		next = sooner(next, p.Latest.ReportedAt.Add(p.Period()+Freshness), now)
		if p.stale(now) {
			next = sooner(next, confirmed(start), now)
		}
	}
	return next
}

// confirmed is when a Red that is due to age alone is believed.
func confirmed(start time.Time) time.Time {
	if start.IsZero() {
		return start
	}
	return start.Add(Unconfirmed)
}

// sooner is the earlier of next and at, of which only what is still to come counts: a colour turns just after these moments, or at them.
func sooner(next, at, now time.Time) time.Time {
	if at.IsZero() || at.Before(now) || !next.IsZero() && next.Before(at) {
		return next
	}
	return at
}
