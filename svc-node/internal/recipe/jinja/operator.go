package jinja

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// The engine's * repeats a text without bound, and its % knows integers only and panics on zero, while profiles
// format with it ('%s:%s' % (host, port)). Both operators are replaced, in the syntax tree, by calls of functions
// of ours:
//
//	left % right   becomes   (call(left, right) or result)
//
// where result is what that call just returned, so that nothing is evaluated twice.
const (
	multiplyName = "\x00multiply"
	moduloName   = "\x00modulo"
	resultName   = "\x00result"
)

var binaryExpression = reflect.TypeFor[*nodes.BinaryExpression]()

// opaque are types that hold no expression, and lead to the whole source.
var opaque = map[reflect.Type]bool{
	reflect.TypeFor[*tokens.Token]():  true,
	reflect.TypeFor[*tokens.Stream](): true,
	reflect.TypeFor[*parser.Parser](): true,
}

// replaceOperators changes the tree in place. Control structures keep their expressions in private fields, which
// reflection reads; the expressions themselves are public and reached through their pointers.
func replaceOperators(node any) { replaceIn(reflect.ValueOf(node), map[uintptr]bool{}) }

func replaceIn(v reflect.Value, seen map[uintptr]bool) {
	if !v.IsValid() || opaque[v.Type()] {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		replaceIn(v.Elem(), seen)
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		replaceIn(v.Elem(), seen)
		if v.Type() == binaryExpression {
			replaceOperator((*nodes.BinaryExpression)(v.UnsafePointer()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			replaceIn(v.Field(i), seen)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			replaceIn(v.Index(i), seen)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			replaceIn(it.Value(), seen)
		}
	default: // no other kind holds nodes
	}
}

func replaceOperator(b *nodes.BinaryExpression) {
	if b.Operator == nil || b.Operator.Token == nil {
		return
	}
	var name string
	switch b.Operator.Token.Type {
	case tokens.Multiply:
		name = multiplyName
	case tokens.Modulo:
		name = moduloName
	default:
		return
	}
	at := *b.Operator.Token
	named := func(name string) *nodes.Name {
		t := at
		t.Type, t.Val = tokens.Name, name
		return &nodes.Name{Name: &t}
	}
	b.Left = &nodes.Call{Location: &at, Func: named(name), Args: []nodes.Expression{b.Left, b.Right}, Kwargs: map[string]nodes.Expression{}}
	b.Right = named(resultName)
	or := at
	or.Type, or.Val = tokens.Or, "or"
	b.Operator = &nodes.BinOperator{Token: &or}
}

// operator makes a function of two arguments that keeps its result for the other side of "or".
func operator(f func(left, right *exec.Value) (any, error)) function {
	return func(e *exec.Evaluator, p *exec.VarArgs) (any, error) {
		if len(p.Args) != 2 {
			return nil, errors.New("an operator takes two arguments")
		}
		for _, v := range p.Args {
			if v.IsError() {
				return nil, v
			}
		}
		result, err := f(p.Args[0], p.Args[1])
		e.Environment.Context.Set(resultName, result)
		return result, err
	}
}

func multiply(left, right *exec.Value) (any, error) {
	if right.IsString() || right.IsList() {
		left, right = right, left
	}
	if left.IsString() || left.IsList() {
		if !right.IsInteger() {
			return nil, errors.New("cannot repeat by anything but an integer")
		}
		n := max(0, right.Integer())
		if size := left.Len() + 1; n > MaxVariableBytes/size {
			return nil, fmt.Errorf("cannot repeat %d elements %d times, at most %d together", size, n, MaxVariableBytes)
		}
		if left.IsString() {
			return strings.Repeat(left.String(), n), nil
		}
		out, list := []any{}, elements(left)
		for range n {
			out = append(out, list...)
		}
		return out, nil
	}
	if left.IsFloat() || right.IsFloat() {
		return left.Float() * right.Float(), nil
	}
	return left.Integer() * right.Integer(), nil
}

func modulo(left, right *exec.Value) (any, error) {
	switch {
	case left.IsString():
		return format(left.String(), right)
	case left.IsFloat() || right.IsFloat():
		if right.Float() == 0 {
			return nil, errors.New("cannot divide by zero")
		}
		r := math.Mod(left.Float(), right.Float())
		if r != 0 && (r < 0) != (right.Float() < 0) {
			r += right.Float()
		}
		return r, nil
	}
	if right.Integer() == 0 {
		return nil, errors.New("cannot divide by zero")
	}
	r := left.Integer() % right.Integer()
	if r != 0 && (r < 0) != (right.Integer() < 0) {
		r += right.Integer()
	}
	return r, nil
}

// format is Python's text % values.
func format(text string, values *exec.Value) (string, error) {
	list := []any{simple(values)}
	if values.IsList() {
		list = elements(values)
	}
	names, _ := simple(values).(map[string]any)
	var b strings.Builder
	for len(text) > 0 {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:i])
		text = text[i+1:]
		name, named := "", false
		if strings.HasPrefix(text, "(") {
			end := strings.IndexByte(text, ')')
			if end < 0 {
				return "", errors.New("cannot format: a name is not closed")
			}
			name, named, text = text[1:end], true, text[end+1:]
		}
		k := strings.IndexFunc(text, func(c rune) bool { return !strings.ContainsRune("-+ #0123456789.", c) })
		if k < 0 || k > 8 {
			return "", errors.New("cannot format: no conversion after %")
		}
		flags, verb := text[:k], text[k]
		text = text[k+1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		var value any
		if named {
			v, ok := names[name]
			if !ok {
				return "", fmt.Errorf("cannot format: no value is named %q", name)
			}
			value = v
		} else {
			if len(list) == 0 {
				return "", errors.New("cannot format: there are fewer values than conversions")
			}
			value, list = list[0], list[1:]
		}
		if err := convert(&b, flags, verb, value); err != nil {
			return "", err
		}
		if b.Len() > MaxVariableBytes {
			return "", fmt.Errorf("cannot format more than %d bytes", MaxVariableBytes)
		}
	}
	return b.String(), nil
}

func convert(b *strings.Builder, flags string, verb byte, value any) error {
	digits := strings.TrimLeft(strings.ReplaceAll(flags, ".", ""), "-+ #0")
	if len(digits) > 4 {
		return fmt.Errorf("cannot format to a width of more than %d", 9999)
	}
	switch verb {
	case 's':
		fmt.Fprintf(b, "%"+flags+"s", exec.AsValue(value).String())
	case 'r':
		fmt.Fprintf(b, "%"+flags+"s", Literal(value))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if verb == 'i' || verb == 'u' {
			verb = 'd'
		}
		v := exec.AsValue(value)
		if !v.IsNumber() {
			return fmt.Errorf("cannot format %s as a number", Literal(value))
		}
		fmt.Fprintf(b, "%"+flags+string(verb), v.Integer())
	case 'f', 'F', 'e', 'g':
		v := exec.AsValue(value)
		if !v.IsNumber() {
			return fmt.Errorf("cannot format %s as a number", Literal(value))
		}
		fmt.Fprintf(b, "%"+flags+string(verb), v.Float())
	default:
		return fmt.Errorf("cannot format: %%%c is not built in", verb)
	}
	return nil
}
