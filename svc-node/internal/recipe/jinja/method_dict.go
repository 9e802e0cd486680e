package jinja

import (
	"errors"
	"fmt"
)

type dictMethod = func(m *machine, d *dict, a arguments) (value, error)

func (d *dict) pairs() []value {
	out := make([]value, len(d.keys))
	for i, key := range d.keys {
		v, _ := d.get(key)
		out[i] = tuple{key, v}
	}
	return out
}

func dictItems(m *machine, d *dict, _ arguments) (value, error) {
	return &list{d.pairs()}, m.budget.elements(len(d.keys))
}

func dictKeys(m *machine, d *dict, _ arguments) (value, error) {
	return &list{append([]value{}, d.keys...)}, m.budget.elements(len(d.keys))
}

func dictValues(m *machine, d *dict, _ arguments) (value, error) {
	out := make([]value, len(d.keys))
	for i, key := range d.keys {
		out[i], _ = d.get(key)
	}
	return &list{out}, m.budget.elements(len(d.keys))
}

// fill puts what dict() and update() take into a dictionary.
func (d *dict) fill(a arguments) error {
	for _, v := range a.list {
		if other, ok := v.(*dict); ok {
			for _, key := range other.keys {
				element, _ := other.get(key)
				if err := d.set(key, element); err != nil {
					return err
				}
			}
			continue
		}
		items, err := sequence(v)
		if err != nil {
			return err
		}
		for _, item := range items {
			pair, err := sequence(item)
			if err != nil || len(pair) != 2 {
				return errors.New("pairs are wanted")
			}
			if err := d.set(pair[0], pair[1]); err != nil {
				return err
			}
		}
	}
	for _, name := range a.order {
		if err := d.set(name, a.named[name]); err != nil {
			return err
		}
	}
	return nil
}

var dictMethods = map[string]dictMethod{
	"items": dictItems, "iteritems": dictItems, "keys": dictKeys, "iterkeys": dictKeys, "values": dictValues, "itervalues": dictValues,
	"get": func(_ *machine, d *dict, a arguments) (value, error) {
		if len(a.list) == 0 {
			return nil, errors.New("a key is wanted")
		}
		if found, ok := d.get(a.list[0]); ok {
			return found, nil
		}
		v, _ := a.pick(1, "default")
		return v, nil
	},
	"pop": func(_ *machine, d *dict, a arguments) (value, error) {
		if len(a.list) == 0 {
			return nil, errors.New("a key is wanted")
		}
		if found, ok := d.get(a.list[0]); ok {
			d.remove(a.list[0])
			return found, nil
		}
		if len(a.list) > 1 {
			return a.list[1], nil
		}
		return nil, fmt.Errorf("there is no key %s", printedKey(a.list[0]))
	},
	"setdefault": func(_ *machine, d *dict, a arguments) (value, error) {
		if len(a.list) == 0 {
			return nil, errors.New("a key is wanted")
		}
		if found, ok := d.get(a.list[0]); ok {
			return found, nil
		}
		v, _ := a.pick(1, "default")
		return v, d.set(a.list[0], v)
	},
	"update": func(m *machine, d *dict, a arguments) (value, error) {
		return nil, errors.Join(d.fill(a), m.budget.elements(len(a.list)+len(a.order)))
	},
	"copy": func(m *machine, d *dict, _ arguments) (value, error) {
		return d.copied(), m.budget.elements(len(d.keys))
	},
	"clear": func(_ *machine, d *dict, _ arguments) (value, error) { *d = *newDict(); return nil, nil },
	"__setitem__": func(_ *machine, d *dict, a arguments) (value, error) {
		if len(a.list) != 2 {
			return nil, errors.New("a key and a value are wanted")
		}
		return nil, d.set(a.list[0], a.list[1])
	},
	"__getitem__": func(_ *machine, d *dict, a arguments) (value, error) {
		key, err := a.one()
		if err != nil {
			return nil, err
		}
		if found, ok := d.get(key); ok {
			return found, nil
		}
		return nil, fmt.Errorf("there is no key %s", printedKey(key))
	},
	"__delitem__": func(_ *machine, d *dict, a arguments) (value, error) {
		key, err := a.one()
		d.remove(key)
		return nil, err
	},
	"__contains__": func(_ *machine, d *dict, a arguments) (value, error) {
		key, err := a.one()
		_, ok := d.get(key)
		return ok, err
	},
	"has_key": func(_ *machine, d *dict, a arguments) (value, error) {
		key, err := a.one()
		_, ok := d.get(key)
		return ok, err
	},
}
