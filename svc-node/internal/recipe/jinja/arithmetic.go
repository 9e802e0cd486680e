package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

var errDivision = errors.New("cannot divide by zero")

func (m *machine) operate(op string, left, right value) (value, error) {
	switch op {
	case "~":
		return m.joined(str(left), str(right))
	case "%":
		if text, ok := left.(string); ok {
			return m.format(text, right)
		}
	case "+":
		switch x := left.(type) {
		case string:
			if y, ok := right.(string); ok {
				return m.joined(x, y)
			}
		case *list:
			if y, ok := right.(*list); ok {
				items, err := m.concatenated(x.items, y.items)
				return &list{items}, err
			}
		case tuple:
			if y, ok := right.(tuple); ok {
				items, err := m.concatenated(x, y)
				return tuple(items), err
			}
		}
	case "*":
		if i, ok := toInt(left); ok {
			if _, number := toFloat(right); !number {
				return m.repeated(right, i)
			}
		} else if i, ok := toInt(right); ok {
			if _, number := toFloat(left); !number {
				return m.repeated(left, i)
			}
		}
	}
	i, isInt := toInt(left)
	j, isInt2 := toInt(right)
	if isInt && isInt2 {
		return integers(op, i, j)
	}
	x, ok := toFloat(left)
	y, ok2 := toFloat(right)
	if !ok || !ok2 {
		return nil, fmt.Errorf("cannot use %s with a %s and a %s", op, typeName(left), typeName(right))
	}
	return floats(op, x, y)
}

func (m *machine) joined(a, b string) (value, error) {
	if err := m.budget.text(len(a) + len(b)); err != nil {
		return nil, err
	}
	return a + b, nil
}

func (m *machine) concatenated(a, b []value) ([]value, error) {
	if err := m.budget.elements(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]value, 0, len(a)+len(b)), a...), b...), nil
}

func (m *machine) repeated(v value, n int64) (value, error) {
	n = max(0, min(n, MaxMadeBytes))
	switch x := v.(type) {
	case string:
		if err := m.budget.text(len(x) * int(n)); err != nil {
			return nil, err
		}
		return strings.Repeat(x, int(n)), nil
	case *list, tuple:
		items, _ := sequence(x)
		if err := m.budget.elements(len(items) * int(n)); err != nil {
			return nil, err
		}
		out := make([]value, 0, len(items)*int(n))
		for range n {
			if len(items) == 0 {
				break
			}
			out = append(out, items...)
		}
		if _, ok := v.(tuple); ok {
			return tuple(out), nil
		}
		return &list{out}, nil
	}
	return nil, fmt.Errorf("cannot repeat a %s", typeName(v))
}

var errLarge = errors.New("cannot use a number that large")

func integers(op string, i, j int64) (value, error) {
	switch op {
	case "+":
		if sum := i + j; (sum > i) == (j > 0) {
			return sum, nil
		}
		return nil, errLarge
	case "-":
		if difference := i - j; (difference < i) == (j > 0) {
			return difference, nil
		}
		return nil, errLarge
	case "*":
		if product, ok := multiplied(i, j); ok {
			return product, nil
		}
		return nil, errLarge
	case "/":
		if j == 0 {
			return nil, errDivision
		}
		return float64(i) / float64(j), nil
	case "//", "%":
		if j == 0 {
			return nil, errDivision
		}
		quotient, rest := i/j, i%j
		if rest != 0 && (rest < 0) != (j < 0) {
			quotient, rest = quotient-1, rest+j
		}
		if op == "%" {
			return rest, nil
		}
		return quotient, nil
	}
	if j < 0 {
		return floats(op, float64(i), float64(j))
	}
	power := int64(1)
	for range j {
		next, ok := multiplied(power, i)
		if !ok {
			return nil, errLarge
		}
		if next == power {
			break // 0 or 1, however often
		}
		if power = next; i == -1 && j > 2 {
			return 1 - 2*(j%2), nil
		}
	}
	return power, nil
}

func multiplied(i, j int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(i), magnitude(j))
	if high != 0 || low > math.MaxInt64 {
		return 0, false
	}
	if (i < 0) != (j < 0) {
		return -int64(low), true
	}
	return int64(low), true
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

func floats(op string, x, y float64) (value, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		return math.Pow(x, y), nil
	}
	if y == 0 {
		return nil, errDivision
	}
	switch op {
	case "/":
		return x / y, nil
	case "//":
		return math.Floor(x / y), nil
	}
	r := math.Mod(x, y)
	if r != 0 && (r < 0) != (y < 0) {
		r += y
	}
	return r, nil
}
