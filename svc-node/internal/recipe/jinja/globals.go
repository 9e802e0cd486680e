package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// function is how gonja calls a global function.
type function = func(*exec.Evaluator, *exec.VarArgs) (any, error)

// globals are the functions templates may call: Jinja2's own and the Python built-ins that profiles use.
func globals() map[string]any {
	all := map[string]any{}
	for _, name := range []string{"cycler", "joiner", "namespace"} {
		all[name], _ = builtins.GlobalFunctions.Get(name)
	}
	for _, name := range []string{"none", "None"} {
		all[name] = nil
	}
	all["dict"] = dict
	all["range"] = rangeOf
	all["dumps"] = dumps
	all["loads"] = loads
	all["str"] = one(func(v *exec.Value) (any, error) { return v.String(), nil })
	all["repr"] = one(func(v *exec.Value) (any, error) { return Literal(simple(v)), nil })
	all["len"] = one(func(v *exec.Value) (any, error) { return v.Len(), nil })
	all["bool"] = one(func(v *exec.Value) (any, error) { return v.IsTrue(), nil })
	all["int"] = one(toInt)
	all["float"] = one(func(v *exec.Value) (any, error) {
		if v.IsString() {
			return strconv.ParseFloat(strings.TrimSpace(v.String()), 64)
		}
		return v.Float(), nil
	})
	all["list"] = one(func(v *exec.Value) (any, error) { return elements(v), nil })
	all["sorted"] = one(sorted)
	all["enumerate"] = one(func(v *exec.Value) (any, error) {
		var out []any
		for i, e := range elements(v) {
			out = append(out, []any{i, e})
		}
		return out, nil
	})
	all["zip"] = zip
	all["assert"] = assert
	all[multiplyName] = operator(multiply)
	all[moduloName] = operator(modulo)
	return all
}

// one makes a function of exactly one argument.
func one(f func(*exec.Value) (any, error)) function {
	return func(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
		if len(p.Args) != 1 {
			return nil, fmt.Errorf("expected one argument, got %d", len(p.Args))
		}
		if p.Args[0].IsError() {
			return nil, p.Args[0]
		}
		return f(p.Args[0])
	}
}

// dict is Python's: a dictionary or pairs, then keywords. "_" is how adapt writes **.
func dict(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
	out := map[string]any{}
	merge := func(v *exec.Value) {
		v.Iterate(func(_, _ int, key, value *exec.Value) bool {
			if pair := elements(key); value == nil && len(pair) == 2 && !key.IsString() {
				out[exec.AsValue(pair[0]).String()] = reference(pair[1])
			} else if value != nil {
				out[key.String()] = reference(value)
			}
			return true
		}, func() {})
	}
	for _, v := range p.Args {
		if v.IsError() {
			return nil, v
		}
		merge(v)
	}
	if v, ok := p.KwArgs["_"]; ok {
		if v.IsError() {
			return nil, v
		}
		merge(v)
	}
	for key, value := range p.KwArgs {
		if key != "_" {
			out[key] = reference(value)
		}
	}
	return out, nil
}

func rangeOf(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
	bounds := [3]int{0, 0, 1}
	for i, argument := range p.Args {
		if i > 2 || !argument.IsInteger() {
			return nil, errors.New("range takes one to three integers")
		}
		bounds[i] = argument.Integer()
	}
	start, stop, step := bounds[0], bounds[1], bounds[2]
	if len(p.Args) == 1 {
		start, stop = 0, bounds[0]
	}
	if len(p.Args) == 0 || step == 0 {
		return nil, errors.New("range takes one to three integers, and the step is not 0")
	}
	out := []any{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) >= MaxRange {
			return nil, fmt.Errorf("cannot make a range of more than %d", MaxRange)
		}
		out = append(out, i)
	}
	return out, nil
}

// dumps writes a value so that a profile reads it back as data: text as it is, the rest as slapos.buildout's
// literal.
func dumps(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
	if len(p.Args) != 1 {
		return nil, fmt.Errorf("expected one argument, got %d", len(p.Args))
	}
	value := simple(p.Args[0])
	if text, ok := value.(string); ok && !strings.ContainsAny(text, "\n$") && strings.TrimSpace(text) == text && text != "" {
		return text, nil
	}
	return "!py!" + Literal(value), nil
}

func loads(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
	if len(p.Args) != 1 {
		return nil, fmt.Errorf("expected one argument, got %d", len(p.Args))
	}
	var value any
	if err := json.Unmarshal([]byte(p.Args[0].String()), &value); err != nil {
		return nil, fmt.Errorf("cannot read JSON: %w", err)
	}
	return copyAny(value), nil
}

// JSON is what "import json" gives templates: json.dumps and json.loads.
func JSON() map[string]any {
	return map[string]any{
		"loads": loads,
		"dumps": func(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
			if len(p.Args) != 1 {
				return nil, fmt.Errorf("expected one argument, got %d", len(p.Args))
			}
			indent := 0
			if v, ok := p.KwArgs["indent"]; ok && v.IsInteger() {
				indent = min(max(v.Integer(), 0), 16)
			}
			text, err := pythonJSON(simple(p.Args[0]), indent)
			return text, err
		},
	}
}

// pythonJSON spaces JSON as Python's json.dumps does, with keys in order.
func pythonJSON(value any, indent int) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if indent > 0 {
		encoder.SetIndent("", strings.Repeat(" ", indent))
	}
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if indent > 0 {
		return text, nil
	}
	var spaced strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		spaced.WriteByte(c)
		switch {
		case quoted && c == '\\':
			i++
			spaced.WriteByte(text[i])
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			spaced.WriteByte(' ')
		}
	}
	return spaced.String(), nil
}

func toInt(v *exec.Value) (any, error) {
	if v.IsString() {
		n, err := strconv.Atoi(strings.TrimSpace(v.String()))
		if err != nil {
			return nil, fmt.Errorf("cannot read %q as an integer", v.String())
		}
		return n, nil
	}
	return v.Integer(), nil
}

func elements(v *exec.Value) []any {
	out := []any{}
	v.Iterate(func(_, _ int, key, _ *exec.Value) bool {
		out = append(out, simple(key))
		return len(out) < MaxIterations
	}, func() {})
	return out
}

func sorted(v *exec.Value) (any, error) {
	list := elements(v)
	sort.SliceStable(list, func(i, j int) bool { return less(list[i], list[j]) })
	return list, nil
}

func less(a, b any) bool {
	switch x := a.(type) {
	case int:
		if y, ok := b.(int); ok {
			return x < y
		}
	case []any:
		if y, ok := b.([]any); ok {
			for i := 0; i < len(x) && i < len(y); i++ {
				if less(x[i], y[i]) || less(y[i], x[i]) {
					return less(x[i], y[i])
				}
			}
			return len(x) < len(y)
		}
	}
	return fmt.Sprint(a) < fmt.Sprint(b)
}

func zip(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
	var lists [][]any
	shortest := -1
	for _, argument := range p.Args {
		list := elements(argument)
		lists = append(lists, list)
		if shortest < 0 || len(list) < shortest {
			shortest = len(list)
		}
	}
	out := []any{}
	for i := range shortest {
		tuple := make([]any, len(lists))
		for j := range lists {
			tuple[j] = lists[j][i]
		}
		out = append(out, tuple)
	}
	return out, nil
}

func assert(_ *exec.Evaluator, p *exec.VarArgs) (any, error) {
	if len(p.Args) == 0 || len(p.Args) > 2 {
		return nil, errors.New("assert takes a condition and a message")
	}
	if p.Args[0].IsTrue() {
		return "", nil
	}
	if len(p.Args) == 2 {
		return nil, fmt.Errorf("assertion failed: %s", p.Args[1].String())
	}
	return nil, errors.New("assertion failed")
}

func simple(v *exec.Value) any {
	if v == nil || v.IsNil() {
		return nil
	}
	return v.ToGoSimpleType(false)
}

// filters are gonja's, without randomness, and with bounded padding.
func filters() *exec.FilterSet {
	set := exec.NewFilterSet(map[string]exec.FilterFunction{})
	set.Update(builtins.Filters)
	refuse := func(*exec.Evaluator, *exec.Value, *exec.VarArgs) *exec.Value {
		return exec.AsValue(errors.New("the filter random is not built in: a template renders the same each time"))
	}
	_ = set.Replace("random", refuse)
	for _, name := range []string{"center", "indent", "wordwrap", "format", "batch", "slice"} {
		original, ok := set.Get(name)
		if !ok {
			continue
		}
		_ = set.Replace(name, func(e *exec.Evaluator, in *exec.Value, p *exec.VarArgs) *exec.Value {
			if err := checkWidths(in, p); err != nil {
				return exec.AsValue(err)
			}
			return original(e, in, p)
		})
	}
	_ = set.Register("b64encode", base64Filter)
	return set
}

// checkWidths refuses integers beyond MaxRange where they are widths and counts.
func checkWidths(in *exec.Value, p *exec.VarArgs) error {
	for _, v := range p.Args {
		if v.IsInteger() && v.Integer() > MaxRange && !in.IsInteger() {
			return fmt.Errorf("cannot use a width of more than %d", MaxRange)
		}
	}
	for _, v := range p.KwArgs {
		if v.IsInteger() && v.Integer() > MaxRange {
			return fmt.Errorf("cannot use a width of more than %d", MaxRange)
		}
	}
	return nil
}
