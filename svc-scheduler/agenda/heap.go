package agenda

// heap is a binary heap of things that know their places in it, so that any of them leaves it, or is filed anew, in time that grows with the logarithm
// of what is in it. An order that is total makes replays exact.
type heap[T any] struct {
	items []T
	// before is the order, place where a thing keeps its index; -1 = it is not in this heap.
	before func(a, b T) bool
	place  func(T) *int
}

// put files a thing, or files it anew after its order changed.
func (h *heap[T]) put(x T) {
	at := h.place(x)
	if *at < 0 {
		*at = len(h.items)
		h.items = append(h.items, x)
	}
	h.sift(*at)
}

// drop takes a thing out; one that is not in it is left alone.
func (h *heap[T]) drop(x T) {
	at := h.place(x)
	i := *at
	if i < 0 {
		return
	}
	*at = -1
	last := len(h.items) - 1
	moved := h.items[last]
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	if i == last {
		return
	}
	h.items[i] = moved
	*h.place(moved) = i
	h.sift(i)
}

// visit calls do for each thing up to a limit that the order respects, in no order, without looking at the others.
func (h *heap[T]) visit(within func(T) bool, do func(T)) {
	var visit func(i int)
	visit = func(i int) {
		if i >= len(h.items) || !within(h.items[i]) {
			return
		}
		do(h.items[i])
		visit(2*i + 1)
		visit(2*i + 2)
	}
	visit(0)
}

func (h *heap[T]) sift(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(h.items[i], h.items[parent]) {
			break
		}
		h.swap(i, parent)
		i = parent
	}
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if right := child + 1; right < len(h.items) && h.before(h.items[right], h.items[child]) {
			child = right
		}
		if !h.before(h.items[child], h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]), *h.place(h.items[j]) = i, j
}
