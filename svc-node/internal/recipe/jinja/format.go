package jinja

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// format is Python's text % values.
func (m *machine) format(text string, values value) (value, error) {
	items, single := []value{values}, true
	if t, ok := values.(tuple); ok {
		items, single = t, false
	}
	names, _ := values.(*dict)
	var b strings.Builder
	for text != "" {
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
				return nil, errors.New("cannot format: a name is not closed")
			}
			name, named, text = text[1:end], true, text[end+1:]
		}
		k := strings.IndexFunc(text, func(c rune) bool { return !strings.ContainsRune("-+ #0123456789.", c) })
		if k < 0 || k > 8 {
			return nil, errors.New("cannot format: no conversion after %")
		}
		flags, verb := text[:k], text[k]
		text = text[k+1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		var v value
		switch {
		case named:
			found, ok := value(nil), false
			if names != nil {
				found, ok = names.get(name)
			}
			if !ok {
				return nil, fmt.Errorf("cannot format: no value is named %q", name)
			}
			v, single = found, true
			items = nil
		case len(items) == 0:
			return nil, errors.New("cannot format: there are fewer values than conversions")
		default:
			v, items = items[0], items[1:]
		}
		if err := conversion(&b, flags, verb, v); err != nil {
			return nil, err
		}
		if err := m.budget.text(b.Len()); err != nil {
			return nil, err
		}
	}
	if len(items) > 0 && !(single && names != nil) {
		return nil, errors.New("cannot format: there are more values than conversions")
	}
	return b.String(), m.budget.text(b.Len())
}

// conversion writes one value. Go's verbs take the same flags; widths have at most four digits.
func conversion(b *strings.Builder, flags string, verb byte, v value) error {
	for _, digits := range strings.Split(strings.TrimLeft(flags, "-+ #0"), ".") {
		if len(digits) > 4 {
			return fmt.Errorf("cannot format to a width of more than %d", 9999)
		}
	}
	switch verb {
	case 's', 'a':
		fmt.Fprintf(b, "%"+flags+"s", str(v))
	case 'r':
		fmt.Fprintf(b, "%"+flags+"s", repr(v))
	case 'c':
		fmt.Fprintf(b, "%"+flags+"s", str(v))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		f, ok := toFloat(v)
		if !ok {
			return fmt.Errorf("cannot format a %s as a number", typeName(v))
		}
		n, isInt := toInt(v)
		if !isInt {
			n = int64(f)
		}
		if verb == 'i' || verb == 'u' {
			verb = 'd'
		}
		fmt.Fprintf(b, "%"+flags+string(verb), n)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		f, ok := toFloat(v)
		if !ok {
			return fmt.Errorf("cannot format a %s as a number", typeName(v))
		}
		if (verb == 'g' || verb == 'G') && !strings.Contains(flags, ".") {
			flags += ".6"
		}
		fmt.Fprintf(b, "%"+flags+string(verb), f)
	default:
		return fmt.Errorf("cannot format: %%%c is not known", verb)
	}
	return nil
}

// formatMethod is Python's text.format(values).
func (m *machine) formatMethod(text string, a arguments) (value, error) {
	var b strings.Builder
	next := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c == '}' {
			return nil, errors.New("a brace is closed that is not open")
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return nil, errors.New("a brace is not closed")
		}
		field, spec, _ := strings.Cut(text[i+1:i+end], ":")
		i += end
		field, how, _ := strings.Cut(field, "!")
		v, err := m.field(field, &next, a)
		if err != nil {
			return nil, err
		}
		if how == "r" {
			v = repr(v)
		}
		done, err := spelled(v, spec)
		if err != nil {
			return nil, err
		}
		b.WriteString(done)
		if err := m.budget.text(b.Len()); err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

// field finds what {0}, {name}, {} and {name.attribute[key]} stand for.
func (m *machine) field(field string, next *int, a arguments) (value, error) {
	end := strings.IndexAny(field, ".[")
	if end < 0 {
		end = len(field)
	}
	name, rest := field[:end], field[end:]
	var v value
	if n, err := strconv.Atoi(name); err == nil || name == "" {
		if name == "" {
			n = *next
			*next++
		}
		if n < 0 || n >= len(a.list) {
			return nil, fmt.Errorf("there is no value %d", n)
		}
		v = a.list[n]
	} else {
		found, ok := a.named[name]
		if !ok {
			return nil, fmt.Errorf("there is no value named %q", name)
		}
		v = found
	}
	for rest != "" {
		var key string
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, errors.New("a bracket is not closed")
			}
			key, rest = rest[1:end], rest[end+1:]
		} else {
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			key, rest = rest[1:end+1], rest[end+1:]
		}
		if n, err := strconv.ParseInt(key, 10, 64); err == nil {
			v = item(v, n)
		} else {
			v = item(v, key)
		}
	}
	if u, ok := v.(undefined); ok {
		return nil, u.problem()
	}
	return v, nil
}

// spelled writes a value by a format specification: [[fill]align][sign][#][0][width][,][.precision][type].
func spelled(v value, spec string) (string, error) {
	if spec == "" {
		return str(v), nil
	}
	fill, align := " ", byte(0)
	if r, n := utf8.DecodeRuneInString(spec); n < len(spec) && strings.IndexByte("<>^=", spec[n]) >= 0 {
		fill, align, spec = string(r), spec[n], spec[n+1:]
	} else if strings.IndexByte("<>^=", spec[0]) >= 0 {
		align, spec = spec[0], spec[1:]
	}
	k := strings.IndexFunc(spec, func(c rune) bool { return !strings.ContainsRune("+- #0123456789,.", c) })
	verb := byte(0)
	if k >= 0 {
		if k != len(spec)-1 {
			return "", fmt.Errorf("cannot format by %q", spec)
		}
		verb, spec = spec[k], spec[:k]
	}
	flags := spec[:len(spec)-len(strings.TrimLeft(spec, "+- #"))]
	spec = spec[len(flags):]
	if strings.HasPrefix(spec, "0") && align == 0 {
		fill, align = "0", '='
	}
	comma := strings.Contains(spec, ",")
	widthText, precision, _ := strings.Cut(strings.ReplaceAll(spec, ",", ""), ".")
	width, _ := strconv.Atoi(widthText)
	if width > MaxRange || len(precision) > 3 {
		return "", fmt.Errorf("cannot use a width of more than %d", MaxRange)
	}
	_, numeric := toFloat(v)
	text := str(v)
	switch {
	case numeric && verb == 0 && precision == "":
	case verb == 0 || verb == 's':
		if n, err := strconv.Atoi(precision); err == nil && n < len(text) {
			text = text[:n]
		}
	case verb == '%':
		f, _ := toFloat(v)
		if precision == "" {
			precision = "6"
		}
		text = fmt.Sprintf("%."+precision+"f%%", f*100)
	default:
		var b strings.Builder
		dot := ""
		if precision != "" {
			dot = "." + precision
		}
		if err := conversion(&b, flags+dot, verb, v); err != nil {
			return "", err
		}
		text = b.String()
	}
	if comma {
		text = thousands(text)
	}
	missing := max(0, width-utf8.RuneCountInString(text))
	padding := strings.Repeat(fill, missing)
	switch {
	case align == '^':
		half := strings.Repeat(fill, missing/2)
		return half + text + strings.Repeat(fill, missing-missing/2), nil
	case align == '=' && (strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+")):
		return text[:1] + padding + text[1:], nil
	case align == '>' || align == '=' || align == 0 && numeric:
		return padding + text, nil
	}
	return text + padding, nil
}

func thousands(text string) string {
	whole, rest, hasRest := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] >= '0' && whole[i-1] <= '9'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasRest {
		return whole + "." + rest
	}
	return whole
}
