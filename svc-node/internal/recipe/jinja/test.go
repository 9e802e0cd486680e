package jinja

import (
	"errors"
	"strings"
)

// test is what stands after "is".
func (m *machine) test(name string, v value, a arguments) (bool, error) {
	if _, ok := v.(undefined); ok {
		switch name {
		case "defined":
			return false, nil
		case "undefined":
			return true, nil
		case "none", "string", "number", "mapping", "boolean", "integer", "float", "callable", "sameas", "true", "false":
			return false, nil
		}
	}
	operators := map[string]string{
		"eq": "==", "equalto": "==", "==": "==", "ne": "!=", "!=": "!=", "lt": "<", "lessthan": "<", "<": "<", "le": "<=", "<=": "<=",
		"gt": ">", "greaterthan": ">", ">": ">", "ge": ">=", ">=": ">=", "in": "in",
	}
	if op, ok := operators[name]; ok {
		other, err := a.one()
		if err != nil {
			return false, err
		}
		if u, ok := v.(undefined); ok {
			return false, u.problem()
		}
		return compared(op, v, other)
	}
	switch name {
	case "defined":
		return true, nil
	case "undefined":
		return false, nil
	case "none":
		return v == nil, nil
	case "true":
		return v == true, nil
	case "false":
		return v == false, nil
	case "boolean":
		return typeName(v) == "bool", nil
	case "string":
		return typeName(v) == "str", nil
	case "integer":
		return typeName(v) == "int", nil
	case "float":
		return typeName(v) == "float", nil
	case "number":
		_, ok := toFloat(v)
		return ok, nil
	case "mapping":
		return typeName(v) == "dict", nil
	case "sequence":
		_, err := sequence(v)
		return err == nil, nil
	case "iterable":
		_, err := sequence(v)
		return err == nil, nil
	case "callable":
		o, isObject := v.(*object)
		_, isFunction := v.(*function)
		return isFunction || isObject && o.call != nil, nil
	case "lower":
		return str(v) == strings.ToLower(str(v)) && str(v) != strings.ToUpper(str(v)), nil
	case "upper":
		return str(v) == strings.ToUpper(str(v)) && str(v) != strings.ToLower(str(v)), nil
	case "escaped":
		return false, nil
	case "filter":
		_, known := filters[str(v)]
		_, listed := m.listFilter(str(v))
		return known || listed, nil
	case "odd", "even", "divisibleby":
		n, ok := toInt(v)
		if !ok {
			return false, errors.New("an integer is wanted")
		}
		by := 2
		if name == "divisibleby" {
			var err error
			if by, err = a.intAt(0, "num", 0); err != nil || by == 0 {
				return false, errDivision
			}
		}
		return (n%int64(by) == 0) == (name != "odd"), nil
	case "sameas":
		other, err := a.one()
		switch x := v.(type) {
		case *list:
			return x == other, err
		case *dict:
			return x == other, err
		case tuple:
			return false, err
		}
		return typeName(v) == typeName(other) && equal(v, other, 0), err
	}
	return false, errors.New("it is not known")
}
