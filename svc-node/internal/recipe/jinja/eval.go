package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// expression is what has a value.
type expression interface {
	eval(m *machine, s *scope) (value, error)
}

// defined evaluates and refuses what is not defined.
func (m *machine) defined(e expression, s *scope) (value, error) {
	if err := m.budget.step(1); err != nil {
		return nil, err
	}
	v, err := e.eval(m, s)
	if u, ok := v.(undefined); ok && err == nil {
		if u.quiet {
			return "", nil
		}
		return nil, u.problem()
	}
	return v, err
}

func (m *machine) holds(e expression, s *scope) (bool, error) {
	v, err := m.defined(e, s)
	if err != nil {
		return false, err
	}
	return truth(v)
}

type constant struct{ value value }

func (n *constant) eval(*machine, *scope) (value, error) { return n.value, nil }

type nameNode struct {
	line int
	name string
}

func (n *nameNode) eval(_ *machine, s *scope) (value, error) {
	if v, ok := s.find(n.name); ok {
		return v, nil
	}
	return undefined{name: n.name}, nil
}

type choice struct {
	line                       int
	condition, then, otherwise expression
}

func (n *choice) eval(m *machine, s *scope) (value, error) {
	holds, err := m.holds(n.condition, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	if holds {
		return n.then.eval(m, s)
	}
	if n.otherwise == nil {
		return undefined{quiet: true}, nil
	}
	return n.otherwise.eval(m, s)
}

type logic struct {
	left, right expression
	or          bool
}

func (n *logic) eval(m *machine, s *scope) (value, error) {
	left, err := m.defined(n.left, s)
	if err != nil {
		return nil, err
	}
	holds, err := truth(left)
	if err != nil || holds == n.or {
		return left, err
	}
	return n.right.eval(m, s)
}

type negation struct{ inner expression }

func (n *negation) eval(m *machine, s *scope) (value, error) {
	holds, err := m.holds(n.inner, s)
	return !holds, err
}

type comparison struct {
	line      int
	first     expression
	operators []string
	rest      []expression
}

func (n *comparison) eval(m *machine, s *scope) (value, error) {
	left, err := m.defined(n.first, s)
	if err != nil {
		return nil, err
	}
	for i, op := range n.operators {
		right, err := m.defined(n.rest[i], s)
		if err != nil {
			return nil, err
		}
		holds, err := compared(op, left, right)
		if err != nil {
			return nil, at(n.line, err)
		}
		if !holds {
			return false, nil
		}
		left = right
	}
	return true, nil
}

func compared(op string, left, right value) (bool, error) {
	switch op {
	case "==":
		return equal(left, right, 0), nil
	case "!=":
		return !equal(left, right, 0), nil
	case "in", "not in":
		holds, err := contains(right, left)
		return holds == (op == "in"), err
	}
	order, err := compare(left, right)
	switch op {
	case "<":
		return order < 0, err
	case "<=":
		return order <= 0, err
	case ">":
		return order > 0, err
	}
	return order >= 0, err
}

func contains(all, one value) (bool, error) {
	switch v := all.(type) {
	case string:
		text, ok := one.(string)
		if !ok {
			return false, fmt.Errorf("cannot look for a %s in a text", typeName(one))
		}
		return strings.Contains(v, text), nil
	case *dict:
		_, ok := v.get(one)
		return ok, nil
	}
	items, err := sequence(all)
	for _, item := range items {
		if equal(item, one, 0) {
			return true, nil
		}
	}
	return false, err
}

type binary struct {
	line        int
	operator    string
	left, right expression
}

func (n *binary) eval(m *machine, s *scope) (value, error) {
	left, err := m.defined(n.left, s)
	if err != nil {
		return nil, err
	}
	right, err := m.defined(n.right, s)
	if err != nil {
		return nil, err
	}
	v, err := m.operate(n.operator, left, right)
	return v, at(n.line, err)
}

type sign struct {
	line  int
	minus bool
	inner expression
}

func (n *sign) eval(m *machine, s *scope) (value, error) {
	v, err := m.defined(n.inner, s)
	if err != nil {
		return nil, err
	}
	factor := int64(1)
	if n.minus {
		factor = -1
	}
	if i, ok := toInt(v); ok {
		return i * factor, nil
	}
	if f, ok := v.(float64); ok {
		return f * float64(factor), nil
	}
	return nil, at(n.line, fmt.Errorf("cannot use a sign with a %s", typeName(v)))
}

type sequenceNode struct {
	kind  byte
	items []expression
}

func (n *sequenceNode) eval(m *machine, s *scope) (value, error) {
	if err := m.budget.elements(len(n.items)); err != nil {
		return nil, err
	}
	items := make([]value, len(n.items))
	for i, item := range n.items {
		var err error
		if items[i], err = m.defined(item, s); err != nil {
			return nil, err
		}
	}
	if n.kind == '[' {
		return &list{items}, nil
	}
	return tuple(items), nil
}

type dictNode struct {
	line         int
	keys, values []expression
}

func (n *dictNode) eval(m *machine, s *scope) (value, error) {
	if err := m.budget.elements(len(n.keys)); err != nil {
		return nil, err
	}
	out := newDict()
	for i := range n.keys {
		key, err := m.defined(n.keys[i], s)
		if err != nil {
			return nil, err
		}
		v, err := m.defined(n.values[i], s)
		if err != nil {
			return nil, err
		}
		if err := out.set(key, v); err != nil {
			return nil, at(n.line, err)
		}
	}
	return out, nil
}

type attribute struct {
	line   int
	object expression
	name   string
}

func (n *attribute) eval(m *machine, s *scope) (value, error) {
	v, err := m.defined(n.object, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	if found, ok := attributeOf(v, n.name); ok {
		return found, nil
	}
	if d, ok := v.(*dict); ok {
		if found, ok := d.get(n.name); ok {
			return found, nil
		}
	}
	return undefined{name: fmt.Sprintf("the attribute %s of a %s", n.name, typeName(v))}, nil
}

// attributeOf finds a method or attribute.
func attributeOf(v value, name string) (value, bool) {
	if o, ok := v.(*object); ok {
		return o.get(name)
	}
	if pair, ok := v.(tuple); ok && len(pair) == 2 {
		switch name { // what groupby gives has names too
		case "grouper":
			return pair[0], true
		case "list":
			return pair[1], true
		}
	}
	if method := methodOf(v, name); method != nil {
		return &function{name, method}, true
	}
	return nil, false
}

type subscript struct {
	line   int
	object expression
	key    expression
}

func (n *subscript) eval(m *machine, s *scope) (value, error) {
	v, err := m.defined(n.object, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	key, err := m.defined(n.key, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	return item(v, key), nil
}

// item is Jinja2's v[key]: an element, or else an attribute of that name.
func item(v, key value) value {
	if d, ok := v.(*dict); ok {
		if found, ok := d.get(key); ok {
			return found
		}
	}
	if i, ok := toInt(key); ok {
		if text, isText := v.(string); isText {
			if !isASCII(text) {
				v, _ = sequenced(text)
			} else if k, ok := position(i, len(text)); ok {
				return text[k : k+1]
			}
		}
		if _, isDict := v.(*dict); !isDict {
			if items, err := sequence(v); err == nil {
				if k, ok := position(i, len(items)); ok {
					return items[k]
				}
			}
		}
	}
	if name, ok := key.(string); ok {
		if found, ok := attributeOf(v, name); ok {
			return found
		}
	}
	return undefined{name: fmt.Sprintf("the element %s of a %s", printedKey(key), typeName(v))}
}

func sequenced(text string) (value, error) {
	items, err := sequence(text)
	return tuple(items), err
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// printedKey keeps messages short.
func printedKey(key value) string {
	text := repr(key)
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return text
}

func position(i int64, n int) (int, bool) {
	if i < 0 {
		i += int64(n)
	}
	return int(i), i >= 0 && i < int64(n)
}

type sliceNode struct {
	line   int
	object expression
	parts  [3]expression
}

func (n *sliceNode) eval(m *machine, s *scope) (value, error) {
	v, err := m.defined(n.object, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	items, err := sequence(v)
	if _, isDict := v.(*dict); err != nil || isDict {
		return nil, at(n.line, fmt.Errorf("cannot slice a %s", typeName(v)))
	}
	if err := m.budget.elements(min(len(items), MaxElements)); err != nil {
		return nil, at(n.line, err)
	}
	var bounds [3]*int64
	for i, part := range n.parts {
		if part == nil {
			continue
		}
		b, err := m.defined(part, s)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		k, ok := toInt(b)
		if !ok {
			return nil, at(n.line, fmt.Errorf("cannot slice by a %s", typeName(b)))
		}
		bounds[i] = &k
	}
	out, err := sliced(items, bounds)
	if err != nil {
		return nil, at(n.line, err)
	}
	switch v.(type) {
	case string:
		var b strings.Builder
		for _, c := range out {
			b.WriteString(str(c))
		}
		return b.String(), nil
	case tuple:
		return tuple(out), nil
	}
	return &list{out}, nil
}

func sliced(items []value, bounds [3]*int64) ([]value, error) {
	n, step := int64(len(items)), int64(1)
	if bounds[2] != nil {
		step = *bounds[2]
	}
	if step == 0 || step < -MaxElements || step > MaxElements {
		return nil, errors.New("cannot slice by this step")
	}
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	clip := func(b *int64, otherwise int64) int64 {
		if b == nil {
			return otherwise
		}
		k := *b
		if k < 0 {
			k = max(k, -n-1) + n
		}
		return min(max(k, low), high)
	}
	start, stop := clip(bounds[0], low), clip(bounds[1], high)
	if step < 0 {
		start, stop = clip(bounds[0], high), clip(bounds[1], low)
	}
	out := []value{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		out = append(out, items[i])
	}
	return out, nil
}
