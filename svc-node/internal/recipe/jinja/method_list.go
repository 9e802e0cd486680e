package jinja

import (
	"errors"
	"fmt"
	"sort"
)

type listMethod = func(m *machine, l *list, a arguments) (value, error)

func (l *list) find(a arguments) (int, error) {
	v, err := a.one()
	if err != nil {
		return 0, err
	}
	for i, element := range l.items {
		if equal(element, v, 0) {
			return i, nil
		}
	}
	return 0, errors.New("cannot find the element in the list")
}

var listMethods = map[string]listMethod{
	"append": func(m *machine, l *list, a arguments) (value, error) {
		v, err := a.one()
		if err != nil {
			return nil, err
		}
		if len(l.items) >= MaxElements {
			return nil, fmt.Errorf("cannot keep more than %d elements", MaxElements)
		}
		l.items = append(l.items, v)
		return nil, nil
	},
	"extend": func(m *machine, l *list, a arguments) (value, error) {
		v, err := a.one()
		if err != nil {
			return nil, err
		}
		more, err := sequence(v)
		if err != nil {
			return nil, err
		}
		l.items, err = m.concatenated(l.items, more)
		return nil, err
	},
	"insert": func(m *machine, l *list, a arguments) (value, error) {
		if len(a.list) != 2 {
			return nil, errors.New("a place and a value are wanted")
		}
		i, err := a.intAt(0, "", 0)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			i += len(l.items)
		}
		i = min(max(i, 0), len(l.items))
		tail := append([]value{a.list[1]}, l.items[i:]...)
		l.items = append(l.items[:i:i], tail...)
		return nil, m.budget.elements(len(l.items))
	},
	"remove": func(_ *machine, l *list, a arguments) (value, error) {
		i, err := l.find(a)
		if err == nil {
			l.items = append(l.items[:i:i], l.items[i+1:]...)
		}
		return nil, err
	},
	"pop": func(_ *machine, l *list, a arguments) (value, error) {
		n, err := a.intAt(0, "", -1)
		if err != nil {
			return nil, err
		}
		i, ok := position(int64(n), len(l.items))
		if !ok {
			return nil, errors.New("there is no such element")
		}
		gone := l.items[i]
		l.items = append(l.items[:i:i], l.items[i+1:]...)
		return gone, nil
	},
	"clear": func(_ *machine, l *list, _ arguments) (value, error) { l.items = nil; return nil, nil },
	"copy": func(m *machine, l *list, _ arguments) (value, error) {
		items, err := m.concatenated(l.items, nil)
		return &list{items}, err
	},
	"index": func(_ *machine, l *list, a arguments) (value, error) { i, err := l.find(a); return int64(i), err },
	"count": func(_ *machine, l *list, a arguments) (value, error) {
		v, err := a.one()
		n := int64(0)
		for _, element := range l.items {
			n += number(equal(element, v, 0))
		}
		return n, err
	},
	"reverse": func(_ *machine, l *list, _ arguments) (value, error) {
		l.items = reversed(l.items)
		return nil, nil
	},
	"sort": func(m *machine, l *list, a arguments) (value, error) {
		sorted, err := m.sorted(l.items, a)
		if err == nil {
			l.items = sorted
		}
		return nil, err
	},
	"__len__": func(_ *machine, l *list, _ arguments) (value, error) { return int64(len(l.items)), nil },
}

func reversed(items []value) []value {
	out := make([]value, len(items))
	for i, item := range items {
		out[len(items)-1-i] = item
	}
	return out
}

// sorted is Python's sorted(items, key=, reverse=).
func (m *machine) sorted(items []value, a arguments) ([]value, error) {
	reverse, err := a.boolAt(99, "reverse", false)
	if err != nil {
		return nil, err
	}
	keys := items
	if key, ok := a.named["key"]; ok && key != nil {
		keys = make([]value, len(items))
		for i, item := range items {
			if keys[i], err = m.call(key, arguments{list: []value{item}}); err != nil {
				return nil, err
			}
		}
	}
	return m.ordered(items, keys, reverse)
}

// ordered sorts items by their keys, stably.
func (m *machine) ordered(items, keys []value, reverse bool) ([]value, error) {
	if err := m.budget.elements(len(items)); err != nil {
		return nil, err
	}
	places := make([]int, len(items))
	for i := range places {
		places[i] = i
	}
	var failed error
	sort.SliceStable(places, func(i, j int) bool {
		if m.budget.step(1) != nil {
			return false
		}
		order, err := compare(keys[places[i]], keys[places[j]])
		if err != nil && failed == nil {
			failed = err
		}
		if reverse {
			return order > 0
		}
		return order < 0
	})
	out := make([]value, len(items))
	for i, place := range places {
		out[i] = items[place]
	}
	return out, failed
}
