package jinja

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// In Python lists and dictionaries are references: profiles append to a list inside a loop or a macro and read
// it afterwards. The engine copies them, so variables hold a pointer to the list, or a Go map, and the methods
// that change them are ours.

// reference makes what a variable is set to a reference, deeply.
func reference(value any) any {
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = reference(v[i])
		}
		return &list
	case *exec.Dict:
		return dictionary(v)
	case exec.Dict:
		return dictionary(&v)
	case *exec.Value:
		if v == nil || v.IsNil() {
			return nil
		}
		return reference(v.Interface())
	}
	if v := reflect.ValueOf(value); v.IsValid() && v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[*exec.Value]() {
		list := make([]any, v.Len())
		for i := range list {
			list[i] = reference(v.Index(i).Interface())
		}
		return &list
	}
	return value
}

func dictionary(d *exec.Dict) any {
	out := make(map[string]any, len(d.Pairs))
	for _, pair := range d.Pairs {
		if !pair.Key.IsString() {
			return d
		}
		out[pair.Key.String()] = reference(pair.Value)
	}
	return out
}

// methods are gonja's for text and numbers, and ours for what can be changed.
func methods() exec.Methods {
	all := builtins.Methods
	all.Str = exec.NewMethodSet(textMethods())
	all.List = exec.NewMethodSet(listMethods())
	all.Dict = exec.NewMethodSet(dictMethods())
	return all
}

// target finds the list behind a value.
func target(v *exec.Value) (*[]any, error) {
	if list, ok := v.Interface().(*[]any); ok {
		return list, nil
	}
	return nil, errors.New("cannot change a list that no variable holds")
}

func listMethods() map[string]exec.Method[[]any] {
	change := func(n int, f func(list *[]any, p *exec.VarArgs) (any, error)) exec.Method[[]any] {
		return func(_ []any, self *exec.Value, p *exec.VarArgs) (any, error) {
			list, err := target(self)
			if err != nil {
				return nil, err
			}
			if len(p.Args) != n {
				return nil, fmt.Errorf("expected %d arguments, got %d", n, len(p.Args))
			}
			if len(*list) > MaxIterations {
				return nil, fmt.Errorf("cannot keep more than %d elements in a list", MaxIterations)
			}
			return f(list, p)
		}
	}
	return map[string]exec.Method[[]any]{
		"append": change(1, func(list *[]any, p *exec.VarArgs) (any, error) {
			*list = append(*list, reference(p.Args[0]))
			return nil, nil
		}),
		"extend": change(1, func(list *[]any, p *exec.VarArgs) (any, error) {
			*list = append(*list, elements(p.Args[0])...)
			return nil, nil
		}),
		"insert": change(2, func(list *[]any, p *exec.VarArgs) (any, error) {
			*list = slices.Insert(*list, min(max(p.Args[0].Integer(), 0), len(*list)), reference(p.Args[1]))
			return nil, nil
		}),
		"reverse": change(0, func(list *[]any, _ *exec.VarArgs) (any, error) {
			slices.Reverse(*list)
			return nil, nil
		}),
		"sort": change(0, func(list *[]any, _ *exec.VarArgs) (any, error) {
			sort.SliceStable(*list, func(i, j int) bool { return less((*list)[i], (*list)[j]) })
			return nil, nil
		}),
		"pop": func(_ []any, self *exec.Value, p *exec.VarArgs) (any, error) {
			list, err := target(self)
			if err != nil {
				return nil, err
			}
			at := len(*list) - 1
			if len(p.Args) == 1 {
				at = p.Args[0].Integer()
			}
			if at < 0 || at >= len(*list) {
				return nil, errors.New("cannot pop: no such element")
			}
			gone := (*list)[at]
			*list = slices.Delete(*list, at, at+1)
			return gone, nil
		},
		"index": func(self []any, _ *exec.Value, p *exec.VarArgs) (any, error) {
			for i, element := range self {
				if len(p.Args) == 1 && reflect.DeepEqual(element, simple(p.Args[0])) {
					return i, nil
				}
			}
			return nil, errors.New("cannot find the element in the list")
		},
		"count": func(self []any, _ *exec.Value, p *exec.VarArgs) (any, error) {
			n := 0
			for _, element := range self {
				if len(p.Args) == 1 && reflect.DeepEqual(element, simple(p.Args[0])) {
					n++
				}
			}
			return n, nil
		},
		"copy": func(self []any, _ *exec.Value, _ *exec.VarArgs) (any, error) { return reference(self), nil },
	}
}

func dictMethods() map[string]exec.Method[map[string]any] {
	// held finds the map behind a value; a literal that no variable holds is a copy, which is as good.
	held := func(self map[string]any, v *exec.Value) map[string]any {
		if m, ok := v.Interface().(map[string]any); ok {
			return m
		}
		return self
	}
	get := func(m map[string]any, p *exec.VarArgs) (any, bool) {
		if len(p.Args) == 0 {
			return nil, false
		}
		v, ok := m[p.Args[0].String()]
		return v, ok
	}
	otherwise := func(p *exec.VarArgs) any {
		if len(p.Args) > 1 {
			return p.Args[1].Interface()
		}
		return nil
	}
	items := func(self map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) {
		m, out := held(self, v), []any{}
		for _, key := range sortedKeys(m) {
			out = append(out, []any{key, m[key]})
		}
		return out, nil
	}
	keys := func(self map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) {
		out := []any{}
		for _, key := range sortedKeys(held(self, v)) {
			out = append(out, key)
		}
		return out, nil
	}
	values := func(self map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) {
		m, out := held(self, v), []any{}
		for _, key := range sortedKeys(m) {
			out = append(out, m[key])
		}
		return out, nil
	}
	return map[string]exec.Method[map[string]any]{
		"items": items, "iteritems": items, "keys": keys, "iterkeys": keys, "values": values, "itervalues": values,
		"get": func(self map[string]any, v *exec.Value, p *exec.VarArgs) (any, error) {
			if found, ok := get(held(self, v), p); ok {
				return found, nil
			}
			return otherwise(p), nil
		},
		"pop": func(self map[string]any, v *exec.Value, p *exec.VarArgs) (any, error) {
			m := held(self, v)
			found, ok := get(m, p)
			if !ok {
				if len(p.Args) < 2 {
					return nil, errors.New("cannot pop: no such key")
				}
				return otherwise(p), nil
			}
			delete(m, p.Args[0].String())
			return found, nil
		},
		"setdefault": func(self map[string]any, v *exec.Value, p *exec.VarArgs) (any, error) {
			m := held(self, v)
			if found, ok := get(m, p); ok {
				return found, nil
			}
			if len(p.Args) == 0 {
				return nil, errors.New("setdefault takes a key and a value")
			}
			m[p.Args[0].String()] = reference(otherwise(p))
			return m[p.Args[0].String()], nil
		},
		"update": func(self map[string]any, v *exec.Value, p *exec.VarArgs) (any, error) {
			m := held(self, v)
			for _, argument := range p.Args {
				argument.Iterate(func(_, _ int, key, value *exec.Value) bool {
					m[key.String()] = reference(value)
					return true
				}, func() {})
			}
			for key, value := range p.KwArgs {
				m[key] = reference(value)
			}
			return nil, nil
		},
		"__setitem__": func(self map[string]any, v *exec.Value, p *exec.VarArgs) (any, error) {
			if len(p.Args) != 2 {
				return nil, errors.New("__setitem__ takes a key and a value")
			}
			held(self, v)[p.Args[0].String()] = reference(p.Args[1])
			return nil, nil
		},
		"copy": func(self map[string]any, v *exec.Value, _ *exec.VarArgs) (any, error) {
			out := map[string]any{}
			for key, value := range held(self, v) {
				out[key] = value
			}
			return out, nil
		},
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
