package jinja

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

type macroNode struct {
	line     int
	name     string
	names    []string
	defaults []expression
	body     []statement
	// varargs and kwargs say that the body mentions those names: only then more may be passed than is declared.
	varargs, kwargs bool
}

func (n *macroNode) run(_ *machine, s *scope) error {
	s.names[n.name] = n.made(s)
	return nil
}

// made is the macro as a value; it sees the names of the scope it is defined in, as they are when it is called.
func (n *macroNode) made(s *scope) *object {
	names := make(tuple, len(n.names))
	for i, name := range n.names {
		names[i] = name
	}
	return &object{
		kind: "Macro", printed: "<Macro " + pythontext.Quote(n.name) + ">",
		get: func(name string) (value, bool) {
			switch name {
			case "name":
				return n.name, true
			case "arguments":
				return names, true
			}
			return nil, false
		},
		call: func(m *machine, a arguments) (value, error) { return n.called(m, s, a) },
	}
}

func (n *macroNode) called(m *machine, s *scope, a arguments) (value, error) {
	if err := m.budget.enter(); err != nil {
		return nil, err
	}
	defer func() { m.budget.depth-- }()
	inner := s.inner()
	rest := newDict()
	for _, name := range a.order {
		_ = rest.set(name, a.named[name]) // texts are keys
	}
	for i, name := range n.names {
		given, named := a.named[name]
		switch {
		case i < len(a.list):
			if named {
				return nil, fmt.Errorf("%s takes %s only once", n.name, name)
			}
			inner.names[name] = a.list[i]
		case named:
			inner.names[name] = given
			rest.remove(name)
		case n.defaults[i] != nil:
			v, err := n.defaults[i].eval(m, inner)
			if err != nil {
				return nil, err
			}
			inner.names[name] = v
		default:
			inner.names[name] = undefined{name: fmt.Sprintf("the parameter %s of %s", name, n.name)}
		}
	}
	var more tuple
	if len(a.list) > len(n.names) {
		more = append(more, a.list[len(n.names):]...)
	}
	if _, declared := inner.names["caller"]; !declared {
		inner.names["caller"] = undefined{name: "caller"}
		if caller, ok := rest.get("caller"); ok {
			inner.names["caller"] = caller
			rest.remove("caller")
		}
	}
	if len(more) > 0 && !n.varargs {
		return nil, fmt.Errorf("%s takes %d arguments, %d are given", n.name, len(n.names), len(a.list))
	}
	if len(rest.keys) > 0 && !n.kwargs {
		return nil, fmt.Errorf("%s takes no argument %s", n.name, str(rest.keys[0]))
	}
	inner.names["varargs"], inner.names["kwargs"] = more, rest
	return m.capture(n.body, inner)
}

type callBlock struct {
	line   int
	call   *callNode
	caller *macroNode
}

func (n *callBlock) run(m *machine, s *scope) error {
	target, err := n.call.target.eval(m, s)
	if err != nil {
		return at(n.line, err)
	}
	a, err := n.call.arguments.eval(m, s)
	if err != nil {
		return at(n.line, err)
	}
	a.add("caller", n.caller.made(s))
	v, err := m.call(target, a)
	if err != nil {
		return at(n.line, err)
	}
	return at(n.line, m.write(str(v)))
}

// load reads and parses a template that another names.
func (m *machine) load(file expression, s *scope) (*parsed, error) {
	v, err := file.eval(m, s)
	if err != nil {
		return nil, err
	}
	name, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("cannot import a %s: the name of a template is wanted", typeName(v))
	}
	if m.template.Read == nil {
		return nil, fmt.Errorf("cannot read the template %q: none may be imported here", name)
	}
	if m.budget.reads++; m.budget.reads > MaxReads {
		return nil, fmt.Errorf("cannot import more than %d templates", MaxReads)
	}
	source, err := m.template.Read(name)
	if err != nil {
		return nil, &missing{err}
	}
	if len(source) > MaxSourceBytes {
		return nil, fmt.Errorf("cannot import %q: it has %d bytes, at most %d", name, len(source), MaxSourceBytes)
	}
	t, err := parse(source)
	if err != nil {
		return nil, fmt.Errorf("cannot import %q: %w", name, err)
	}
	return t, nil
}

// missing is a template that cannot be read.
type missing struct{ err error }

// Error implements error.
func (e *missing) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *missing) Unwrap() error { return e.err }

type importNode struct {
	line           int
	file           expression
	as             string
	names, aliases []string
	context        bool
}

func (n *importNode) run(m *machine, s *scope) error {
	if err := m.budget.enter(); err != nil {
		return at(n.line, err)
	}
	defer func() { m.budget.depth-- }()
	t, err := m.load(n.file, s)
	if err != nil {
		return at(n.line, err)
	}
	outer := m.globals
	if n.context {
		outer = s
	}
	top := outer.inner()
	if _, err := m.capture(t.body, top); err != nil {
		return at(n.line, err)
	}
	get := func(name string) (value, bool) {
		v, ok := top.names[name]
		return v, ok && !strings.HasPrefix(name, "_")
	}
	if n.as != "" {
		s.names[n.as] = &object{kind: "TemplateModule", printed: "<TemplateModule>", get: get}
		return nil
	}
	for i, name := range n.names {
		v, ok := get(name)
		if !ok {
			v = undefined{name: fmt.Sprintf("%s of the imported template", name)}
		}
		s.names[n.aliases[i]] = v
	}
	return nil
}

type includeNode struct {
	line              int
	file              expression
	optional, context bool
}

func (n *includeNode) run(m *machine, s *scope) error {
	if err := m.budget.enter(); err != nil {
		return at(n.line, err)
	}
	defer func() { m.budget.depth-- }()
	t, err := m.load(n.file, s)
	if n.optional && errors.As(err, new(*missing)) {
		return nil
	}
	if err != nil {
		return at(n.line, err)
	}
	outer := m.globals
	if n.context {
		outer = s
	}
	return at(n.line, m.whole(t, outer.inner()))
}

// whole runs a template and those it extends.
func (m *machine) whole(t *parsed, s *scope) error {
	before := m.blocks
	m.blocks = map[string][]*blockNode{}
	defer func() { m.blocks = before }()
	for {
		for name, b := range t.blocks {
			m.blocks[name] = append(m.blocks[name], b)
		}
		if t.parent == nil {
			return m.runAll(t.body, s)
		}
		var rest []statement // of a template that extends another, only macros and assignments count
		for _, one := range t.body {
			if _, ok := one.(*blockNode); !ok {
				rest = append(rest, one)
			}
		}
		if _, err := m.capture(rest, s); err != nil {
			return err
		}
		parent, err := m.load(t.parent, s)
		if err != nil {
			return err
		}
		t = parent
	}
}

type blockNode struct {
	line int
	name string
	body []statement
}

func (n *blockNode) run(m *machine, s *scope) error {
	all := m.blocks[n.name]
	if len(all) == 0 {
		all = []*blockNode{n}
	}
	return at(n.line, m.block(all, s))
}

func (m *machine) block(all []*blockNode, s *scope) error {
	inner := s.inner()
	inner.names["super"] = &function{"super", func(m *machine, _ arguments) (value, error) {
		if len(all) < 2 {
			return nil, errors.New("there is no block above this one")
		}
		if err := m.budget.enter(); err != nil {
			return nil, err
		}
		defer func() { m.budget.depth-- }()
		before := m.out
		m.out = &strings.Builder{}
		err := m.block(all[1:], s)
		text := m.out.String()
		m.out = before
		return text, err
	}}
	return m.runAll(all[0].body, inner)
}
