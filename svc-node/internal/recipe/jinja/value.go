package jinja

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// value is what expressions have: nil (None), bool, int64, float64, string, *list, tuple, *dict, undefined, *function,
// *object. Lists and dictionaries are references, as in Python.
type value = any

type list struct{ items []value }

type tuple []value

// dict keeps its keys in the order of their making.
type dict struct {
	keys   []value
	values map[any]value
}

// undefined is a name, attribute or element that does not exist; using it is an error that names it.
type undefined struct {
	name string
	// quiet is the missing else of an if: used, it is an empty text.
	quiet bool
}

func (u undefined) problem() error { return fmt.Errorf("%s is not defined", u.name) }

// arguments of a call.
type arguments struct {
	list  []value
	named map[string]value
	order []string // of named
}

type function struct {
	name string
	call func(m *machine, a arguments) (value, error)
}

// object has attributes and nothing else, but for call: namespace(), imported templates and modules, loop.
type object struct {
	kind    string
	get     func(name string) (value, bool)
	set     func(name string, v value)
	call    func(m *machine, a arguments) (value, error)
	printed string
}

func newDict() *dict { return &dict{values: map[any]value{}} }

// hashed is a value as the key of a Go map; numbers that are equal are the same key, as in Python.
func hashed(v value) (any, error) {
	switch v := v.(type) {
	case nil, string:
		return v, nil
	case int64:
		return v, nil
	case bool:
		return number(v), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
		return v, nil
	case tuple:
		return [1]string{repr(v)}, nil
	}
	return nil, fmt.Errorf("cannot use a %s as a key", typeName(v))
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (d *dict) get(key value) (value, bool) {
	h, err := hashed(key)
	if err != nil {
		return nil, false
	}
	v, ok := d.values[h]
	return v, ok
}

func (d *dict) set(key, v value) error {
	h, err := hashed(key)
	if err != nil {
		return err
	}
	if _, ok := d.values[h]; !ok {
		if len(d.keys) >= MaxElements {
			return fmt.Errorf("cannot keep more than %d elements", MaxElements)
		}
		d.keys = append(d.keys, key)
	}
	d.values[h] = v
	return nil
}

func (d *dict) remove(key value) {
	h, err := hashed(key)
	if err != nil {
		return
	}
	if _, ok := d.values[h]; !ok {
		return
	}
	delete(d.values, h)
	for i, k := range d.keys {
		if other, _ := hashed(k); other == h {
			d.keys = append(d.keys[:i:i], d.keys[i+1:]...)
			return
		}
	}
}

func (d *dict) copied() *dict {
	out := newDict()
	for _, key := range d.keys {
		v, _ := d.get(key)
		_ = out.set(key, v) // it was a key before
	}
	return out
}

// imported turns Go data into a value, deeply copied.
func imported(v any) value {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		out := newDict()
		for _, key := range keys {
			_ = out.set(key, imported(v[key])) // texts are keys
		}
		return out
	case []any:
		out := &list{items: make([]value, len(v))}
		for i := range v {
			out.items[i] = imported(v[i])
		}
		return out
	case []string:
		out := &list{items: make([]value, len(v))}
		for i := range v {
			out.items[i] = v[i]
		}
		return out
	case float64:
		// JSON numbers come as floats; whole ones are integers in Python.
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return v
	case int:
		return int64(v)
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

// exported turns a value into Go data: what Literal and JSON know.
func exported(v value) any {
	switch v := v.(type) {
	case *list:
		return exportedAll(v.items)
	case tuple:
		return exportedAll(v)
	case *dict:
		out := make(map[string]any, len(v.keys))
		for _, key := range v.keys {
			element, _ := v.get(key)
			out[str(key)] = exported(element)
		}
		return out
	case int64, float64, string, bool, nil:
		return v
	}
	return str(v)
}

func exportedAll(items []value) []any {
	out := make([]any, len(items))
	for i := range items {
		out[i] = exported(items[i])
	}
	return out
}

func typeName(v value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *list:
		return "list"
	case tuple:
		return "tuple"
	case *dict:
		return "dict"
	case *function:
		return "function"
	case *object:
		return v.kind
	}
	return "undefined"
}

// truth is Python's bool().
func truth(v value) (bool, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case int64:
		return v != 0, nil
	case float64:
		return v != 0, nil
	case string:
		return v != "", nil
	case *list:
		return len(v.items) > 0, nil
	case tuple:
		return len(v) > 0, nil
	case *dict:
		return len(v.keys) > 0, nil
	case undefined:
		return false, v.problem()
	}
	return true, nil
}

func toFloat(v value) (float64, bool) {
	switch v := v.(type) {
	case bool:
		return float64(number(v)), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func toInt(v value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		return number(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// sequence gives the items of what can be looped over.
func sequence(v value) ([]value, error) {
	switch v := v.(type) {
	case *list:
		return v.items, nil
	case tuple:
		return v, nil
	case *dict:
		return v.keys, nil
	case string:
		out := make([]value, 0, len(v))
		for _, c := range v {
			out = append(out, string(c))
		}
		return out, nil
	case undefined:
		return nil, v.problem()
	}
	return nil, fmt.Errorf("cannot loop over a %s", typeName(v))
}

// equal is Python's ==.
func equal(a, b value, depth int) bool {
	if depth > maxPrinted {
		return false
	}
	if x, ok := toFloat(a); ok {
		y, ok := toFloat(b)
		if i, both := a.(int64); both {
			if j, both := b.(int64); both {
				return i == j
			}
		}
		return ok && x == y
	}
	same := func(x, y []value) bool {
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i], depth+1) {
				return false
			}
		}
		return true
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case string:
		y, ok := b.(string)
		return ok && x == y
	case *list:
		y, ok := b.(*list)
		return ok && same(x.items, y.items)
	case tuple:
		y, ok := b.(tuple)
		return ok && same(x, y)
	case *dict:
		y, ok := b.(*dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		for _, key := range x.keys {
			u, _ := x.get(key)
			v, ok := y.get(key)
			if !ok || !equal(u, v, depth+1) {
				return false
			}
		}
		return true
	case *function:
		y, ok := b.(*function)
		return ok && x == y
	case *object:
		y, ok := b.(*object)
		return ok && x == y
	}
	return false
}

// compare orders two values as Python's < does: below zero when a is less.
func compare(a, b value) (int, error) {
	if x, ok := toFloat(a); ok {
		if y, ok := toFloat(b); ok {
			i, isInt := a.(int64)
			j, isInt2 := b.(int64)
			switch {
			case isInt && isInt2 && i < j, (!isInt || !isInt2) && x < y:
				return -1, nil
			case isInt && isInt2 && i > j, (!isInt || !isInt2) && x > y:
				return 1, nil
			}
			return 0, nil
		}
	}
	var x, y []value
	switch u := a.(type) {
	case string:
		if v, ok := b.(string); ok {
			return strings.Compare(u, v), nil
		}
	case *list:
		if v, ok := b.(*list); ok {
			x, y = u.items, v.items
		}
	case tuple:
		if v, ok := b.(tuple); ok {
			x, y = u, v
		}
	case undefined:
		return 0, u.problem()
	}
	if u, ok := b.(undefined); ok {
		return 0, u.problem()
	}
	if typeName(a) != typeName(b) || x == nil && y == nil && typeName(a) != "list" && typeName(a) != "tuple" {
		return 0, fmt.Errorf("cannot order a %s and a %s", typeName(a), typeName(b))
	}
	for i := 0; i < len(x) && i < len(y); i++ {
		if !equal(x[i], y[i], 0) {
			return compare(x[i], y[i])
		}
	}
	return len(x) - len(y), nil
}
