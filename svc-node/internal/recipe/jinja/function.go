package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// globals are the names every template has: Jinja2's own and the Python built-ins that slapos.recipe.template gives.
func globals() map[string]value {
	all := map[string]value{"namespace": &function{"namespace", newNamespace}, "cycler": &function{"cycler", newCycler}, "joiner": &function{"joiner", newJoiner}}
	for name, f := range functions {
		all[name] = &function{name, f}
	}
	return all
}

// unary makes a function of exactly one argument.
func unary(f func(m *machine, v value) (value, error)) method {
	return func(m *machine, a arguments) (value, error) {
		v, err := a.one()
		if err != nil {
			return nil, err
		}
		return f(m, v)
	}
}

// listed makes a function of one sequence.
func listed(f func(m *machine, items []value) (value, error)) method {
	return unary(func(m *machine, v value) (value, error) {
		items, err := sequence(v)
		if err != nil {
			return nil, err
		}
		if err := m.budget.elements(len(items)); err != nil {
			return nil, err
		}
		return f(m, items)
	})
}

func asked(want bool) method {
	return listed(func(_ *machine, items []value) (value, error) {
		for _, one := range items {
			holds, err := truth(one)
			if err != nil {
				return nil, err
			}
			if holds == want {
				return want, nil
			}
		}
		return !want, nil
	})
}

var functions = map[string]method{
	"dict": func(_ *machine, a arguments) (value, error) {
		d := newDict()
		return d, d.fill(a)
	},
	"range": rangeOf, "dumps": dumps, "loads": unary(func(_ *machine, v value) (value, error) { return readJSON(str(v)) }),
	"str": textOf, "unicode": textOf, "bytes": textOf,
	"repr": unary(func(m *machine, v value) (value, error) { text := repr(v); return text, m.budget.text(len(text)) }),
	"len":  unary(func(_ *machine, v value) (value, error) { return lengthOf(v) }),
	"bool": func(_ *machine, a arguments) (value, error) {
		if len(a.list) == 0 {
			return false, nil
		}
		return truth(a.list[0])
	},
	"int": integerOf,
	"float": unary(func(_ *machine, v value) (value, error) {
		if f, ok := toFloat(v); ok {
			return f, nil
		}
		return strconv.ParseFloat(strings.TrimSpace(str(v)), 64)
	}),
	"list": sequenceOf(func(items []value) value { return &list{items} }), "tuple": sequenceOf(func(items []value) value { return tuple(items) }),
	"set": setOf, "frozenset": setOf,
	"sorted": func(m *machine, a arguments) (value, error) {
		v, err := a.one()
		if err != nil {
			return nil, err
		}
		items, err := sequence(v)
		if err != nil {
			return nil, err
		}
		out, err := m.sorted(items, a)
		return &list{out}, err
	},
	"reversed": listed(func(_ *machine, items []value) (value, error) { return &list{reversed(items)}, nil }),
	"enumerate": func(m *machine, a arguments) (value, error) {
		start, err := a.intAt(1, "start", 0)
		if err != nil {
			return nil, err
		}
		return listed(func(_ *machine, items []value) (value, error) {
			out := make([]value, len(items))
			for i, one := range items {
				out[i] = tuple{int64(start + i), one}
			}
			return &list{out}, nil
		})(m, arguments{list: a.list[:min(1, len(a.list))]})
	},
	"zip": zip, "map": mapOf,
	"filter": func(m *machine, a arguments) (value, error) {
		if len(a.list) != 2 {
			return nil, errors.New("a function and a list are wanted")
		}
		items, err := sequence(a.list[1])
		out := []value{}
		for _, one := range items {
			v := one
			if a.list[0] != nil {
				if v, err = m.call(a.list[0], arguments{list: []value{one}}); err != nil {
					return nil, err
				}
			}
			if holds, err := truth(v); err != nil {
				return nil, err
			} else if holds {
				out = append(out, one)
			}
		}
		return &list{out}, err
	},
	"min": func(m *machine, a arguments) (value, error) { return extremeOf(m, a, -1) }, "max": func(m *machine, a arguments) (value, error) { return extremeOf(m, a, 1) },
	"sum": func(m *machine, a arguments) (value, error) {
		if len(a.list) == 0 {
			return nil, errors.New("a list is wanted")
		}
		items, err := sequence(a.list[0])
		if err != nil {
			return nil, err
		}
		return m.sum(items, arguments{list: append([]value{nil}, a.list[1:]...)})
	},
	"abs": unary(func(m *machine, v value) (value, error) { return filters["abs"](m, v, arguments{}) }),
	"round": func(m *machine, a arguments) (value, error) {
		if len(a.list) == 0 {
			return nil, errors.New("a number is wanted")
		}
		v, err := round(m, a.list[0], arguments{list: a.list[1:]})
		if f, ok := v.(float64); ok && err == nil && len(a.list) == 1 {
			return int64(f), nil
		}
		return v, err
	},
	"any": asked(true), "all": asked(false),
	"hex": unary(func(_ *machine, v value) (value, error) {
		n, ok := toInt(v)
		if !ok {
			return nil, errors.New("an integer is wanted")
		}
		return fmt.Sprintf("%#x", n), nil
	}),
	"ord": unary(func(_ *machine, v value) (value, error) {
		for _, c := range str(v) {
			return int64(c), nil
		}
		return nil, errors.New("a character is wanted")
	}),
	"chr": unary(func(_ *machine, v value) (value, error) {
		n, ok := toInt(v)
		if !ok || n < 0 || n > math.MaxInt32 {
			return nil, errors.New("a code point is wanted")
		}
		return string(rune(n)), nil
	}),
	"callable":   unary(func(m *machine, v value) (value, error) { return m.test("callable", v, arguments{}) }),
	"isinstance": isInstance,
	"assert": func(_ *machine, a arguments) (value, error) {
		if len(a.list) == 0 || len(a.list) > 2 {
			return nil, errors.New("assert takes a condition and a message")
		}
		holds, err := truth(a.list[0])
		if err != nil || holds {
			return "", err
		}
		if len(a.list) == 2 {
			return nil, fmt.Errorf("assertion failed: %s", str(a.list[1]))
		}
		return nil, errors.New("assertion failed")
	},
}

func textOf(m *machine, a arguments) (value, error) {
	if len(a.list) == 0 {
		return "", nil
	}
	if u, ok := a.list[0].(undefined); ok {
		return nil, u.problem()
	}
	text := str(a.list[0])
	return text, m.budget.text(len(text))
}

func integerOf(_ *machine, a arguments) (value, error) {
	if len(a.list) == 0 {
		return int64(0), nil
	}
	switch v := a.list[0].(type) {
	case float64:
		if math.IsNaN(v) || math.Abs(v) >= 1<<63 {
			return nil, errLarge
		}
		return int64(v), nil
	case string:
		base, err := a.intAt(1, "base", 10)
		if err != nil {
			return nil, err
		}
		text := strings.TrimSpace(v)
		if base == 16 {
			text = strings.TrimPrefix(strings.ToLower(text), "0x")
		}
		n, err := strconv.ParseInt(text, base, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s as an integer", printedKey(v))
		}
		return n, nil
	}
	if n, ok := toInt(a.list[0]); ok {
		return n, nil
	}
	return nil, fmt.Errorf("cannot read a %s as an integer", typeName(a.list[0]))
}

func sequenceOf(make func(items []value) value) method {
	return func(m *machine, a arguments) (value, error) {
		if len(a.list) == 0 {
			return make(nil), nil
		}
		items, err := sequence(a.list[0])
		if err != nil {
			return nil, err
		}
		copied, err := m.concatenated(items, nil)
		return make(copied), err
	}
}

// setOf keeps the first of each, as a list: what profiles do with sets is to loop over them and to sort them.
func setOf(m *machine, a arguments) (value, error) {
	if len(a.list) == 0 {
		return &list{}, nil
	}
	items, err := sequence(a.list[0])
	if err != nil {
		return nil, err
	}
	return m.unique(items, arguments{list: []value{true}})
}

func rangeOf(m *machine, a arguments) (value, error) {
	bounds := [3]int64{0, 0, 1}
	if len(a.list) < 1 || len(a.list) > 3 {
		return nil, errors.New("one to three integers are wanted")
	}
	for i, v := range a.list {
		n, ok := toInt(v)
		if !ok {
			return nil, fmt.Errorf("integers are wanted, a %s is given", typeName(v))
		}
		bounds[i] = n
	}
	start, stop, step := bounds[0], bounds[1], bounds[2]
	if len(a.list) == 1 {
		start, stop = 0, bounds[0]
	}
	if step == 0 {
		return nil, errors.New("a step of 0 leads nowhere")
	}
	out := []value{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) >= MaxRange {
			return nil, fmt.Errorf("cannot make a range of more than %d", MaxRange)
		}
		out = append(out, i)
	}
	return &list{out}, m.budget.elements(len(out))
}

func zip(m *machine, a arguments) (value, error) {
	shortest := -1
	lists := make([][]value, len(a.list))
	for i, v := range a.list {
		items, err := sequence(v)
		if err != nil {
			return nil, err
		}
		lists[i] = items
		if shortest < 0 || len(items) < shortest {
			shortest = len(items)
		}
	}
	if err := m.budget.elements(max(0, shortest) * len(lists)); err != nil {
		return nil, err
	}
	out := []value{}
	for i := range max(0, shortest) {
		row := make(tuple, len(lists))
		for j := range lists {
			row[j] = lists[j][i]
		}
		out = append(out, row)
	}
	return &list{out}, nil
}

func mapOf(m *machine, a arguments) (value, error) {
	if len(a.list) != 2 {
		return nil, errors.New("a function and a list are wanted")
	}
	items, err := sequence(a.list[1])
	if err != nil {
		return nil, err
	}
	out := make([]value, len(items))
	for i, one := range items {
		if out[i], err = m.call(a.list[0], arguments{list: []value{one}}); err != nil {
			return nil, err
		}
	}
	return &list{out}, m.budget.elements(len(out))
}

func extremeOf(m *machine, a arguments, sign int) (value, error) {
	items := a.list
	if len(items) == 1 {
		var err error
		if items, err = sequence(items[0]); err != nil {
			return nil, err
		}
	}
	if len(items) == 0 {
		return nil, errors.New("there is nothing to choose from")
	}
	return m.extreme(items, arguments{list: []value{true}}, sign)
}

func isInstance(_ *machine, a arguments) (value, error) {
	if len(a.list) != 2 {
		return nil, errors.New("a value and a type are wanted")
	}
	kinds := []value{a.list[1]}
	if t, ok := kinds[0].(tuple); ok {
		kinds = t
	}
	for _, kind := range kinds {
		f, ok := kind.(*function)
		if !ok {
			return nil, errors.New("a value and a type are wanted")
		}
		name := f.name
		if name == "unicode" || name == "bytes" {
			name = "str"
		}
		if is := typeName(a.list[0]); is == name || is == "bool" && name == "int" {
			return true, nil
		}
	}
	return false, nil
}

func newNamespace(_ *machine, a arguments) (value, error) {
	d := newDict()
	if err := d.fill(a); err != nil {
		return nil, err
	}
	return &object{
		kind: "Namespace", printed: "<Namespace>",
		get: func(name string) (value, bool) { return d.get(name) },
		set: func(name string, v value) { _ = d.set(name, v) }, // a text is a key; names are those of the source
	}, nil
}

func newCycler(_ *machine, a arguments) (value, error) {
	if len(a.list) == 0 {
		return nil, errors.New("values are wanted")
	}
	at := 0
	return &object{kind: "Cycler", printed: "<Cycler>", get: func(name string) (value, bool) {
		switch name {
		case "current":
			return a.list[at], true
		case "next":
			return &function{name, func(*machine, arguments) (value, error) {
				v := a.list[at]
				at = (at + 1) % len(a.list)
				return v, nil
			}}, true
		case "reset":
			return &function{name, func(*machine, arguments) (value, error) { at = 0; return nil, nil }}, true
		}
		return nil, false
	}}, nil
}

func newJoiner(_ *machine, a arguments) (value, error) {
	separator, err := a.textAt(0, "sep", ", ")
	used := false
	return &function{"joiner", func(*machine, arguments) (value, error) {
		if used {
			return separator, nil
		}
		used = true
		return "", nil
	}}, err
}
