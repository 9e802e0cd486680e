package agenda

// ready is what is due and waits for a slot: by cause, then round robin by tree, then the longest due; and once more by how long it has been due.
//
//	causes[bang] ── lines by turn ──▶ line of a tree ── entries by due
//	longest ─────── entries by due
type ready struct {
	longest heap[*Entry]
	causes  [Causes]heap[*line]
	lines   map[lineKey]*line
	// turns is the number of the order that each tree got last: whose turn it is. A tree that is not in it has had none.
	turns map[string]uint64
}

// line is the entries of a tree that are due for a cause.
type line struct {
	lineKey
	turn    uint64
	place   int
	entries heap[*Entry]
}

type lineKey struct {
	cause Cause
	tree  string
}

func newReady() ready {
	r := ready{lines: map[lineKey]*line{}, turns: map[string]uint64{}}
	r.longest = heap[*Entry]{before: dueBefore, place: func(e *Entry) *int { return &e.inLongest }}
	for c := range r.causes {
		r.causes[c] = heap[*line]{
			before: func(a, b *line) bool {
				if a.turn != b.turn {
					return a.turn < b.turn
				}
				return dueBefore(a.entries.items[0], b.entries.items[0])
			},
			place: func(l *line) *int { return &l.place },
		}
	}
	return r
}

func dueBefore(a, b *Entry) bool {
	if !a.dueSince.Equal(b.dueSince) {
		return a.dueSince.Before(b.dueSince)
	}
	return a.Partition < b.Partition
}

// put files an entry under the cause and time that it is due for.
func (r *ready) put(e *Entry) {
	r.longest.put(e)
	key := lineKey{e.cause, e.TreeID}
	l := r.lines[key]
	if l == nil {
		l = &line{lineKey: key, turn: r.turns[e.TreeID], place: -1, entries: heap[*Entry]{before: dueBefore, place: func(e *Entry) *int { return &e.inLine }}}
		r.lines[key] = l
	}
	e.line = l
	l.entries.put(e)
	r.causes[l.cause].put(l)
}

// drop takes an entry out; one that is not ready is left alone.
func (r *ready) drop(e *Entry) {
	l := e.line
	if l == nil {
		return
	}
	e.line = nil
	r.longest.drop(e)
	if len(l.entries.items) == 1 { // before it is empty, since lines are compared by their first entries
		r.causes[l.cause].drop(l)
		delete(r.lines, l.lineKey)
	}
	l.entries.drop(e)
	if l.place >= 0 {
		r.causes[l.cause].put(l)
	}
}

// first is whose turn it is: of all the longest due, or by cause and tree. Nil = nothing is ready.
func (r *ready) first(longest bool) *Entry {
	if longest {
		if len(r.longest.items) == 0 {
			return nil
		}
		return r.longest.items[0]
	}
	for c := range r.causes {
		if lines := r.causes[c].items; len(lines) > 0 {
			return lines[0].entries.items[0]
		}
	}
	return nil
}

// took notes that a tree got an order.
func (r *ready) took(tree string, order uint64) {
	r.turns[tree] = order
	for c := range r.causes {
		if l := r.lines[lineKey{Cause(c), tree}]; l != nil {
			l.turn = order
			r.causes[c].put(l)
		}
	}
}

// begin forgets whose turn it was.
func (r *ready) begin() {
	clear(r.turns)
	for _, l := range r.lines {
		l.turn = 0
	}
	for c := range r.causes {
		r.causes[c].again()
	}
}
