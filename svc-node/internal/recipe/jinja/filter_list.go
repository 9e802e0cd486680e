package jinja

import (
	"errors"
	"fmt"
)

// listFilter finds a filter of sequences. They are a method since they call filters and tests by name themselves.
func (m *machine) listFilter(name string) (filter, bool) {
	simple := map[string]func(items []value, a arguments) (value, error){
		"list":       func(items []value, _ arguments) (value, error) { return &list{append([]value{}, items...)}, nil },
		"first":      func(items []value, _ arguments) (value, error) { return edge(items, 0), nil },
		"last":       func(items []value, _ arguments) (value, error) { return edge(items, len(items)-1), nil },
		"join":       m.join,
		"sort":       m.sort,
		"unique":     m.unique,
		"groupby":    m.groupBy,
		"map":        m.mapped,
		"sum":        m.sum,
		"max":        func(items []value, a arguments) (value, error) { return m.extreme(items, a, 1) },
		"min":        func(items []value, a arguments) (value, error) { return m.extreme(items, a, -1) },
		"batch":      m.batch,
		"slice":      m.slice,
		"select":     func(items []value, a arguments) (value, error) { return m.choose(items, a, false, true) },
		"reject":     func(items []value, a arguments) (value, error) { return m.choose(items, a, false, false) },
		"selectattr": func(items []value, a arguments) (value, error) { return m.choose(items, a, true, true) },
		"rejectattr": func(items []value, a arguments) (value, error) { return m.choose(items, a, true, false) },
	}
	if f, ok := simple[name]; ok {
		return func(m *machine, v value, a arguments) (value, error) {
			items, err := sequence(v)
			if err != nil {
				return nil, err
			}
			if err := m.budget.elements(len(items)); err != nil {
				return nil, err
			}
			return f(items, a)
		}, true
	}
	switch name {
	case "length", "count":
		return func(_ *machine, v value, _ arguments) (value, error) { return lengthOf(v) }, true
	case "reverse":
		return func(_ *machine, v value, _ arguments) (value, error) {
			items, err := sequence(v)
			if _, ok := v.(string); ok && err == nil {
				return m.joinedAll("", reversed(items))
			}
			return &list{reversed(items)}, err
		}, true
	case "items":
		return func(m *machine, v value, a arguments) (value, error) {
			d, ok := v.(*dict)
			if !ok {
				return nil, errors.New("a dictionary is wanted")
			}
			return dictItems(m, d, a)
		}, true
	case "dictsort":
		return m.dictSort, true
	case "attr":
		return func(_ *machine, v value, a arguments) (value, error) {
			attribute, err := a.textAt(0, "name", "")
			if err != nil {
				return nil, err
			}
			if found, ok := attributeOf(v, attribute); ok {
				return found, nil
			}
			return undefined{name: "the attribute " + attribute}, nil
		}, true
	}
	return nil, false
}

func lengthOf(v value) (value, error) {
	if text, ok := v.(string); ok {
		return int64(len([]rune(text))), nil
	}
	items, err := sequence(v)
	return int64(len(items)), err
}

func edge(items []value, i int) value {
	if i < 0 || i >= len(items) {
		return undefined{name: "the first or last element of nothing"}
	}
	return items[i]
}

func (m *machine) join(items []value, a arguments) (value, error) {
	separator := ""
	if v, ok := a.pick(0, "d"); ok {
		separator = str(v)
	}
	if attribute, ok := a.pick(1, "attribute"); ok {
		get := m.attributeGetter(attribute, nil, false)
		texts := make([]value, len(items))
		for i, one := range items {
			var err error
			if texts[i], err = get(one); err != nil {
				return nil, err
			}
		}
		items = texts
	}
	return m.joinedAll(separator, items)
}

func (m *machine) sort(items []value, a arguments) (value, error) {
	reverse, err := a.boolAt(0, "reverse", false)
	if err != nil {
		return nil, err
	}
	sensitive, err := a.boolAt(1, "case_sensitive", false)
	if err != nil {
		return nil, err
	}
	attribute, _ := a.pick(2, "attribute")
	keys, err := m.keysOf(items, attribute, sensitive)
	if err != nil {
		return nil, err
	}
	out, err := m.ordered(items, keys, reverse)
	return &list{out}, err
}

func (m *machine) dictSort(_ *machine, v value, a arguments) (value, error) {
	d, ok := v.(*dict)
	if !ok {
		return nil, fmt.Errorf("a dictionary is wanted, a %s is given", typeName(v))
	}
	sensitive, err := a.boolAt(0, "case_sensitive", false)
	if err != nil {
		return nil, err
	}
	by, err := a.textAt(1, "by", "key")
	if err != nil {
		return nil, err
	}
	reverse, err := a.boolAt(2, "reverse", false)
	if err != nil {
		return nil, err
	}
	pairs := d.pairs()
	keys := make([]value, len(pairs))
	for i, pair := range pairs {
		place := 0
		if by == "value" {
			place = 1
		}
		keys[i] = folded(pair.(tuple)[place], sensitive) //nolint:forcetypeassert // pairs() makes tuples
	}
	out, err := m.ordered(pairs, keys, reverse)
	return &list{out}, err
}

func (m *machine) unique(items []value, a arguments) (value, error) {
	sensitive, err := a.boolAt(0, "case_sensitive", false)
	if err != nil {
		return nil, err
	}
	attribute, _ := a.pick(1, "attribute")
	keys, err := m.keysOf(items, attribute, sensitive)
	if err != nil {
		return nil, err
	}
	seen, out := map[any]bool{}, []value{}
	for i, key := range keys {
		h, err := hashed(key)
		if err != nil {
			return nil, err
		}
		if !seen[h] {
			seen[h] = true
			out = append(out, items[i])
		}
	}
	return &list{out}, nil
}

func (m *machine) groupBy(items []value, a arguments) (value, error) {
	attribute, ok := a.pick(0, "attribute")
	if !ok {
		return nil, errors.New("an attribute is wanted")
	}
	otherwise, hasOtherwise := a.pick(1, "default")
	get := m.attributeGetter(attribute, otherwise, hasOtherwise)
	values := make([]value, len(items))
	keys := make([]value, len(items))
	for i, one := range items {
		v, err := get(one)
		if u, ok := v.(undefined); ok && err == nil {
			err = u.problem()
		}
		if err != nil {
			return nil, err
		}
		values[i], keys[i] = tuple{v, one}, folded(v, false)
	}
	ordered, err := m.ordered(values, keys, false)
	if err != nil {
		return nil, err
	}
	out := []value{}
	var group *list
	var last value
	for i, pair := range ordered {
		t := pair.(tuple) //nolint:forcetypeassert // made above
		if i == 0 || !equal(folded(t[0], false), last, 0) {
			group, last = &list{}, folded(t[0], false)
			out = append(out, tuple{t[0], group})
		}
		group.items = append(group.items, t[1])
	}
	return &list{out}, nil
}

func (m *machine) mapped(items []value, a arguments) (value, error) {
	out := make([]value, len(items))
	if attribute, ok := a.named["attribute"]; ok {
		otherwise, hasOtherwise := a.named["default"]
		get := m.attributeGetter(attribute, otherwise, hasOtherwise)
		for i, one := range items {
			var err error
			if out[i], err = get(one); err != nil {
				return nil, err
			}
		}
		return &list{out}, nil
	}
	name, err := a.textAt(0, "", "")
	if err != nil || name == "" {
		return nil, errors.New("the name of a filter or an attribute is wanted")
	}
	rest := arguments{list: a.list[1:], named: a.named, order: a.order}
	for i, one := range items {
		if err := m.budget.step(1); err != nil {
			return nil, err
		}
		if out[i], err = m.filter(name, one, rest); err != nil {
			return nil, err
		}
	}
	return &list{out}, nil
}

// choose is select, reject and their attr siblings.
func (m *machine) choose(items []value, a arguments, byAttribute, want bool) (value, error) {
	get := func(v value) (value, error) { return v, nil }
	if byAttribute {
		if len(a.list) == 0 {
			return nil, errors.New("an attribute is wanted")
		}
		get = m.attributeGetter(a.list[0], nil, false)
		a.list = a.list[1:]
	}
	out := []value{}
	for _, one := range items {
		v, err := get(one)
		if err != nil {
			return nil, err
		}
		var holds bool
		if len(a.list) == 0 {
			holds, err = truth(v)
		} else {
			name, ok := a.list[0].(string)
			if !ok {
				return nil, errors.New("the name of a test is wanted")
			}
			holds, err = m.test(name, v, arguments{list: a.list[1:], named: a.named, order: a.order})
		}
		if err != nil {
			return nil, err
		}
		if holds == want {
			out = append(out, one)
		}
	}
	return &list{out}, nil
}

func (m *machine) sum(items []value, a arguments) (value, error) {
	attribute, _ := a.pick(0, "attribute")
	total, ok := a.pick(1, "start")
	if !ok {
		total = int64(0)
	}
	get := m.attributeGetter(attribute, nil, false)
	for _, one := range items {
		v, err := get(one)
		if err != nil {
			return nil, err
		}
		if total, err = m.operate("+", total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func (m *machine) extreme(items []value, a arguments, sign int) (value, error) {
	sensitive, err := a.boolAt(0, "case_sensitive", false)
	if err != nil {
		return nil, err
	}
	attribute, _ := a.pick(1, "attribute")
	keys, err := m.keysOf(items, attribute, sensitive)
	if err != nil || len(items) == 0 {
		return edge(nil, 0), err
	}
	best := 0
	for i := range keys {
		order, err := compare(keys[i], keys[best])
		if err != nil {
			return nil, err
		}
		if order*sign > 0 {
			best = i
		}
	}
	return items[best], nil
}

func (m *machine) batch(items []value, a arguments) (value, error) {
	n, err := a.width(0, "linecount", 0)
	if err != nil || n < 1 {
		return nil, errors.New("a count of at least 1 is wanted")
	}
	fill, hasFill := a.pick(1, "fill_with")
	out := []value{}
	for i := 0; i < len(items); i += n {
		row := append([]value{}, items[i:min(i+n, len(items))]...)
		for hasFill && fill != nil && len(row) < n {
			row = append(row, fill)
		}
		out = append(out, &list{row})
	}
	return &list{out}, nil
}

func (m *machine) slice(items []value, a arguments) (value, error) {
	n, err := a.width(0, "slices", 0)
	if err != nil || n < 1 {
		return nil, errors.New("a count of at least 1 is wanted")
	}
	fill, hasFill := a.pick(1, "fill_with")
	out, begin := []value{}, 0
	each, more := len(items)/n, len(items)%n
	for i := range n {
		end := begin + each
		if i < more {
			end++
		}
		row := append([]value{}, items[begin:end]...)
		if hasFill && fill != nil && i >= more && more > 0 {
			row = append(row, fill)
		}
		out, begin = append(out, &list{row}), end
	}
	return &list{out}, nil
}
