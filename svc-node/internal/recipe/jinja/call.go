package jinja

import "fmt"

// callArgument is one argument of a call: spread is 1 for *a and 2 for **a.
type callArgument struct {
	name   string
	spread int
	value  expression
}

type callArguments []callArgument

func (a *arguments) add(name string, v value) {
	if a.named == nil {
		a.named = map[string]value{}
	}
	if _, ok := a.named[name]; !ok {
		a.order = append(a.order, name)
	}
	a.named[name] = v
}

func (c callArguments) eval(m *machine, s *scope) (arguments, error) {
	var a arguments
	for _, argument := range c {
		if err := m.budget.step(1); err != nil {
			return a, err
		}
		v, err := argument.value.eval(m, s)
		if err != nil {
			return a, err
		}
		switch {
		case argument.spread == 1:
			items, err := sequence(v)
			if err != nil {
				return a, err
			}
			a.list = append(a.list, items...)
		case argument.spread == 2:
			d, ok := v.(*dict)
			if !ok {
				return a, fmt.Errorf("cannot pass a %s with **", typeName(v))
			}
			for _, key := range d.keys {
				element, _ := d.get(key)
				a.add(str(key), element)
			}
		case argument.name != "":
			a.add(argument.name, v)
		default:
			a.list = append(a.list, v)
		}
	}
	return a, m.budget.elements(len(a.list) + len(a.order))
}

type callNode struct {
	line      int
	target    expression
	arguments callArguments
}

func (n *callNode) eval(m *machine, s *scope) (value, error) {
	target, err := m.defined(n.target, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	a, err := n.arguments.eval(m, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	v, err := m.call(target, a)
	return v, at(n.line, err)
}

func (m *machine) call(target value, a arguments) (value, error) {
	switch f := target.(type) {
	case *function:
		v, err := f.call(m, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		return v, nil
	case *object:
		if f.call != nil {
			return f.call(m, a)
		}
	case undefined:
		return nil, f.problem()
	}
	return nil, fmt.Errorf("cannot call a %s", typeName(target))
}

// applied is what a filter or a test is applied to.
type applied struct {
	line      int
	input     expression
	name      string
	arguments callArguments
}

type (
	filterNode struct{ applied }
	testNode   struct{ applied }
)

func (n *filterNode) eval(m *machine, s *scope) (value, error) {
	return n.apply(m, s, "filter", m.filter)
}

func (n *testNode) eval(m *machine, s *scope) (value, error) {
	return n.apply(m, s, "test", func(name string, v value, a arguments) (value, error) { return m.test(name, v, a) })
}

func (n *applied) apply(m *machine, s *scope, kind string, do func(name string, v value, a arguments) (value, error)) (value, error) {
	if err := m.budget.step(1); err != nil {
		return nil, err
	}
	v, err := n.input.eval(m, s)
	if err != nil {
		return nil, err
	}
	a, err := n.arguments.eval(m, s)
	if err != nil {
		return nil, at(n.line, err)
	}
	out, err := do(n.name, v, a)
	if err != nil {
		return nil, at(n.line, fmt.Errorf("the %s %s: %w", kind, n.name, err))
	}
	return out, nil
}
