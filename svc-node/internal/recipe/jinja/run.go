package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// statement is what stands between {% and %}, or text.
type statement interface {
	run(m *machine, s *scope) error
}

// scope holds names. Loops, macros and with make new ones; if does not.
type scope struct {
	names  map[string]value
	parent *scope
}

func (s *scope) inner() *scope { return &scope{names: map[string]value{}, parent: s} }

func (s *scope) find(name string) (value, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.names[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// machine is one rendering.
type machine struct {
	template Template
	budget   *budget
	out      *strings.Builder
	globals  *scope
	// context are the variables that the caller gave, above globals.
	context *scope
	// blocks are the overriding blocks of each name, the outermost child's first.
	blocks map[string][]*blockNode
}

// errBreak and errContinue carry jumps to their loop.
var (
	errBreak    = errors.New("break is only known in a loop")
	errContinue = errors.New("continue is only known in a loop")
)

// at puts a line before an error, unless it has one.
func at(line int, err error) error {
	if err == nil || errors.Is(err, errBreak) || errors.Is(err, errContinue) {
		return err
	}
	var placed *placedError
	if errors.As(err, &placed) {
		return err
	}
	return &placedError{line, err}
}

type placedError struct {
	line int
	err  error
}

// Error implements error.
func (e *placedError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// Unwrap gives the cause.
func (e *placedError) Unwrap() error { return e.err }

func (m *machine) write(text string) error {
	if m.out.Len()+len(text) > MaxOutputBytes {
		return fmt.Errorf("cannot render more than %d bytes", MaxOutputBytes)
	}
	m.out.WriteString(text)
	return nil
}

func (m *machine) runAll(body []statement, s *scope) error {
	for _, one := range body {
		if err := m.budget.step(1); err != nil {
			return err
		}
		if err := one.run(m, s); err != nil {
			return err
		}
	}
	return nil
}

// capture runs a body and returns what it writes.
func (m *machine) capture(body []statement, s *scope) (string, error) {
	before := m.out
	m.out = &strings.Builder{}
	err := m.runAll(body, s)
	text := m.out.String()
	m.out = before
	if err != nil {
		return "", err
	}
	return text, m.budget.text(len(text))
}

type dataNode string

func (d dataNode) run(m *machine, _ *scope) error { return m.write(string(d)) }

type group []statement

func (g group) run(m *machine, s *scope) error { return m.runAll(g, s) }

type printNode struct {
	line  int
	value expression
}

func (n *printNode) run(m *machine, s *scope) error {
	v, err := m.defined(n.value, s)
	if err != nil {
		return at(n.line, err)
	}
	return at(n.line, m.write(str(v)))
}

type ifNode struct {
	conditions []expression
	bodies     [][]statement
	otherwise  []statement
}

func (n *ifNode) run(m *machine, s *scope) error {
	for i, condition := range n.conditions {
		holds, err := m.holds(condition, s)
		if err != nil {
			return err
		}
		if holds {
			return m.runAll(n.bodies[i], s)
		}
	}
	return m.runAll(n.otherwise, s)
}

// target is what a value is assigned to.
type target struct {
	name, attribute string
	several         bool
	parts           []target
}

func (t target) assign(s *scope, v value) error {
	if t.several {
		items, err := sequence(v)
		if err != nil {
			return err
		}
		if len(items) != len(t.parts) {
			return fmt.Errorf("cannot give %d values to %d names", len(items), len(t.parts))
		}
		for i, part := range t.parts {
			if err := part.assign(s, items[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if t.attribute == "" {
		s.names[t.name] = v
		return nil
	}
	found, _ := s.find(t.name)
	namespace, ok := found.(*object)
	if !ok || namespace.set == nil {
		return fmt.Errorf("cannot set %s.%s: %s is no namespace", t.name, t.attribute, t.name)
	}
	namespace.set(t.attribute, v)
	return nil
}

type setNode struct {
	line   int
	target target
	value  expression
	filter expression
	body   []statement
}

func (n *setNode) run(m *machine, s *scope) error {
	if n.value == nil {
		text, err := m.capture(n.body, s.inner())
		if err != nil {
			return err
		}
		v, err := m.filterText(n.filter, text, s)
		if err != nil {
			return at(n.line, err)
		}
		return at(n.line, n.target.assign(s, v))
	}
	v, err := n.value.eval(m, s)
	if err != nil {
		return at(n.line, err)
	}
	return at(n.line, n.target.assign(s, v))
}

// blockTextName holds the text of a block while its filters are applied; no template can write it.
const blockTextName = "\x00text"

// blockText is the text of a block.
type blockText struct{}

func (blockText) eval(_ *machine, s *scope) (value, error) {
	v, _ := s.find(blockTextName)
	return v, nil
}

func (m *machine) filterText(filter expression, text string, s *scope) (value, error) {
	if filter == nil {
		return text, nil
	}
	inner := s.inner()
	inner.names[blockTextName] = text
	return filter.eval(m, inner)
}

type filterBlock struct {
	line   int
	filter expression
	body   []statement
}

func (n *filterBlock) run(m *machine, s *scope) error {
	text, err := m.capture(n.body, s.inner())
	if err != nil {
		return err
	}
	v, err := m.filterText(n.filter, text, s)
	if err != nil {
		return at(n.line, err)
	}
	return m.write(str(v))
}

type doNode struct {
	line  int
	value expression
}

func (n *doNode) run(m *machine, s *scope) error {
	_, err := n.value.eval(m, s)
	return at(n.line, err)
}

type jump struct{ again bool }

func (n *jump) run(*machine, *scope) error {
	if n.again {
		return errContinue
	}
	return errBreak
}

type withNode struct {
	line    int
	targets []target
	values  []expression
	body    []statement
}

func (n *withNode) run(m *machine, s *scope) error {
	inner := s.inner()
	for i, t := range n.targets {
		v, err := n.values[i].eval(m, s)
		if err != nil {
			return at(n.line, err)
		}
		if err := t.assign(inner, v); err != nil {
			return at(n.line, err)
		}
	}
	return m.runAll(n.body, inner)
}

type forNode struct {
	line            int
	target          target
	over, condition expression
	recursive       bool
	body, otherwise []statement
}

func (n *forNode) run(m *machine, s *scope) error {
	over, err := n.over.eval(m, s)
	if err != nil {
		return at(n.line, err)
	}
	return n.loop(m, s, over, 1)
}

func (n *forNode) loop(m *machine, s *scope, over value, depth int) error {
	all, err := sequence(over)
	if err != nil {
		return at(n.line, err)
	}
	items := make([]value, 0, len(all))
	for _, item := range all {
		if n.condition != nil {
			inner := s.inner()
			if err := n.target.assign(inner, item); err != nil {
				return at(n.line, err)
			}
			holds, err := m.holds(n.condition, inner)
			if err != nil {
				return at(n.line, err)
			}
			if !holds {
				continue
			}
		}
		items = append(items, item)
	}
	if err := m.budget.elements(len(items)); err != nil {
		return at(n.line, err)
	}
	if len(items) == 0 {
		return m.runAll(n.otherwise, s)
	}
	state := &loopState{items: items, depth: depth}
	l := state.object()
	if n.recursive {
		l.call = func(m *machine, a arguments) (value, error) {
			if len(a.list) != 1 {
				return nil, errors.New("loop takes what to loop over")
			}
			if err := m.budget.enter(); err != nil {
				return nil, err
			}
			defer func() { m.budget.depth-- }()
			before := m.out
			m.out = &strings.Builder{}
			err := n.loop(m, s, a.list[0], depth+1)
			text := m.out.String()
			m.out = before
			return text, err
		}
	}
	for i, item := range items {
		if err := m.budget.iterate(); err != nil {
			return at(n.line, err)
		}
		state.at = i
		inner := s.inner()
		inner.names["loop"] = l
		if err := n.target.assign(inner, item); err != nil {
			return at(n.line, err)
		}
		err := m.runAll(n.body, inner)
		if errors.Is(err, errBreak) {
			break
		}
		if err != nil && !errors.Is(err, errContinue) {
			return err
		}
	}
	return nil
}

// loopState is what the name loop tells.
type loopState struct {
	items []value
	at    int
	depth int
	last  []value // of changed()
}

func (l *loopState) object() *object {
	return &object{kind: "loop", printed: "<LoopContext>", get: func(name string) (value, bool) {
		n := len(l.items)
		element := func(i int) value {
			if i < 0 || i >= n {
				return undefined{name: "loop." + name}
			}
			return l.items[i]
		}
		switch name {
		case "index":
			return int64(l.at + 1), true
		case "index0":
			return int64(l.at), true
		case "revindex":
			return int64(n - l.at), true
		case "revindex0":
			return int64(n - l.at - 1), true
		case "first":
			return l.at == 0, true
		case "last":
			return l.at == n-1, true
		case "length":
			return int64(n), true
		case "depth":
			return int64(l.depth), true
		case "depth0":
			return int64(l.depth - 1), true
		case "previtem":
			return element(l.at - 1), true
		case "nextitem":
			return element(l.at + 1), true
		case "cycle":
			return &function{"cycle", func(_ *machine, a arguments) (value, error) {
				if len(a.list) == 0 {
					return nil, errors.New("cycle takes values")
				}
				return a.list[l.at%len(a.list)], nil
			}}, true
		case "changed":
			return &function{"changed", func(_ *machine, a arguments) (value, error) {
				same := l.last != nil && equal(tuple(a.list), tuple(l.last), 0)
				l.last = append([]value{}, a.list...)
				return !same, nil
			}}, true
		}
		return nil, false
	}}
}
