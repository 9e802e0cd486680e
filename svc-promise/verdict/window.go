package verdict

import (
	"cmp"
	"slices"
)

// Window keeps the newest groups of one promise in the order of their sequence, each once.
type Window struct {
	groups []Group
	size   int
}

// Groups are the groups of the window, oldest first. The slice is the window's own.
func (w *Window) Groups() []Group { return w.groups }

// Newest is the newest group; false when there is none.
func (w *Window) Newest() (Group, bool) {
	if len(w.groups) == 0 {
		return Group{}, false
	}
	return w.groups[len(w.groups)-1], true
}

// Complete is false when a group is missing between those of the window, or before the oldest of one that has room for more.
func (w *Window) Complete() bool {
	for i := range w.groups {
		if gap(w.groups, i) && (i > 0 || len(w.groups) < w.size) {
			return false
		}
	}
	return true
}

// Resize makes room for size groups; the oldest go when there are more.
func (w *Window) Resize(size int) {
	w.size = min(max(size, 1), MaxResultCount)
	w.trim()
}

// trim drops the oldest groups in place: the backing array is kept, so that a full window allocates nothing.
func (w *Window) trim() {
	if over := len(w.groups) - w.size; over > 0 {
		n := copy(w.groups, w.groups[over:])
		clear(w.groups[n:])
		w.groups = w.groups[:n]
	}
}

// Add puts a group in its place. known is true when it was there already or is older than a full window, and nothing changed; newest is true when it is the newest now.
func (w *Window) Add(g Group) (known, newest bool) {
	if w.size == 0 {
		w.Resize(1)
	}
	if len(w.groups) == 0 || g.Sequence > w.groups[len(w.groups)-1].Sequence {
		if len(w.groups) == w.size {
			copy(w.groups, w.groups[1:])
			w.groups[len(w.groups)-1] = g
		} else {
			w.groups = append(w.groups, g)
		}
		return false, true
	}
	at, found := slices.BinarySearchFunc(w.groups, g.Sequence, func(have Group, want uint64) int { return cmp.Compare(have.Sequence, want) })
	if found || (at == 0 && len(w.groups) == w.size) {
		return true, false
	}
	w.groups = slices.Insert(w.groups, at, g)
	w.trim()
	return false, false
}
