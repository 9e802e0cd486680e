package agenda

import stdheap "container/heap"

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
	if i := *h.place(x); i >= 0 {
		stdheap.Fix(h, i)
		return
	}
	stdheap.Push(h, x)
}

// drop takes a thing out; one that is not in it is left alone.
func (h *heap[T]) drop(x T) {
	if i := *h.place(x); i >= 0 {
		stdheap.Remove(h, i)
	}
}

// again files everything anew.
func (h *heap[T]) again() { stdheap.Init(h) }

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

// Len, Less, Swap, Push and Pop are for container/heap.
func (h *heap[T]) Len() int           { return len(h.items) }
func (h *heap[T]) Less(i, j int) bool { return h.before(h.items[i], h.items[j]) }

func (h *heap[T]) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]), *h.place(h.items[j]) = i, j
}

func (h *heap[T]) Push(x any) {
	added := x.(T) //nolint:forcetypeassert // put is who calls
	*h.place(added) = len(h.items)
	h.items = append(h.items, added)
}

func (h *heap[T]) Pop() any {
	last := len(h.items) - 1
	x := h.items[last]
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	*h.place(x) = -1
	return x
}
