package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type method = func(m *machine, a arguments) (value, error)

// methodOf finds a method of a value, or nil.
func methodOf(v value, name string) method {
	switch v := v.(type) {
	case string:
		if name == "format" {
			return func(m *machine, a arguments) (value, error) { return m.formatMethod(v, a) }
		}
		if f, ok := textMethods[name]; ok {
			return func(m *machine, a arguments) (value, error) { return f(m, v, a) }
		}
	case *list:
		if f, ok := listMethods[name]; ok {
			return func(m *machine, a arguments) (value, error) {
				if err := m.budget.elements(min(len(v.items), MaxElements+1) / 16); err != nil {
					return nil, err
				}
				return f(m, v, a)
			}
		}
	case tuple:
		if name == "index" || name == "count" {
			return func(m *machine, a arguments) (value, error) { return listMethods[name](m, &list{v}, a) }
		}
	case *dict:
		if f, ok := dictMethods[name]; ok {
			return func(m *machine, a arguments) (value, error) { return f(m, v, a) }
		}
	}
	return nil
}

// pick gives the argument at a position or of a name.
func (a arguments) pick(i int, name string) (value, bool) {
	if i < len(a.list) {
		return a.list[i], true
	}
	v, ok := a.named[name]
	return v, ok
}

func (a arguments) textAt(i int, name, otherwise string) (string, error) {
	v, ok := a.pick(i, name)
	if !ok {
		return otherwise, nil
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("a text is wanted, a %s is given", typeName(v))
	}
	return text, nil
}

func (a arguments) intAt(i int, name string, otherwise int) (int, error) {
	v, ok := a.pick(i, name)
	if !ok || v == nil {
		return otherwise, nil
	}
	n, ok := toInt(v)
	if !ok {
		return 0, fmt.Errorf("an integer is wanted, a %s is given", typeName(v))
	}
	return int(n), nil
}

// width is a number of blanks or digits.
func (a arguments) width(i int, name string, otherwise int) (int, error) {
	n, err := a.intAt(i, name, otherwise)
	if n > MaxRange {
		return 0, fmt.Errorf("cannot use a width of more than %d", MaxRange)
	}
	return n, err
}

func (a arguments) boolAt(i int, name string, otherwise bool) (bool, error) {
	v, ok := a.pick(i, name)
	if !ok {
		return otherwise, nil
	}
	return truth(v)
}

func (a arguments) one() (value, error) {
	if len(a.list) != 1 {
		return nil, fmt.Errorf("one argument is wanted, %d are given", len(a.list))
	}
	if u, ok := a.list[0].(undefined); ok {
		return nil, u.problem()
	}
	return a.list[0], nil
}

func texts(items []string) value {
	out := &list{items: make([]value, len(items))}
	for i := range items {
		out.items[i] = items[i]
	}
	return out
}

type textMethod = func(m *machine, s string, a arguments) (value, error)

func plain(f func(string) string) textMethod {
	return func(_ *machine, s string, _ arguments) (value, error) { return f(s), nil }
}

func asks(f func(rune) bool) textMethod {
	return func(_ *machine, s string, _ arguments) (value, error) {
		for _, c := range s {
			if !f(c) {
				return false, nil
			}
		}
		return s != "", nil
	}
}

// stripped makes strip, lstrip and rstrip.
func stripped(cut func(s, chars string) string, blanks func(string) string) textMethod {
	return func(_ *machine, s string, a arguments) (value, error) {
		if v, ok := a.pick(0, "chars"); !ok || v == nil {
			return blanks(s), nil
		}
		chars, err := a.textAt(0, "chars", "")
		return cut(s, chars), err
	}
}

// affix makes startswith and endswith, which take a text or a tuple of texts.
func affix(has func(s, part string) bool) textMethod {
	return func(_ *machine, s string, a arguments) (value, error) {
		v, err := a.one()
		if err != nil {
			return nil, err
		}
		parts := []value{v}
		if t, ok := v.(tuple); ok {
			parts = t
		}
		for _, part := range parts {
			text, ok := part.(string)
			if !ok {
				return nil, errors.New("a text or a tuple of texts is wanted")
			}
			if has(s, text) {
				return true, nil
			}
		}
		return false, nil
	}
}

func finder(find func(s, part string) int, required bool) textMethod {
	return func(_ *machine, s string, a arguments) (value, error) {
		part, err := a.textAt(0, "sub", "")
		if err != nil {
			return nil, err
		}
		i := find(s, part)
		if i < 0 {
			if required {
				return nil, errors.New("cannot find the text")
			}
			return int64(-1), nil
		}
		return int64(utf8.RuneCountInString(s[:i])), nil
	}
}

func cutter(right bool) textMethod {
	return func(_ *machine, s string, a arguments) (value, error) {
		n, err := a.intAt(1, "maxsplit", -1)
		if err != nil {
			return nil, err
		}
		if v, ok := a.pick(0, "sep"); !ok || v == nil {
			return texts(splitBlanks(s, n, right)), nil
		}
		separator, err := a.textAt(0, "sep", "")
		if err != nil || separator == "" {
			return nil, errors.New("cannot split at an empty text")
		}
		all := strings.Split(s, separator)
		if n >= 0 && len(all) > n+1 {
			if right {
				head := strings.Join(all[:len(all)-n], separator)
				all = append([]string{head}, all[len(all)-n:]...)
			} else {
				all = append(all[:n:n], strings.Join(all[n:], separator))
			}
		}
		return texts(all), nil
	}
}

func splitBlanks(s string, n int, right bool) []string {
	all := strings.Fields(s)
	if n < 0 || len(all) <= n {
		return all
	}
	if right {
		rest := strings.TrimRightFunc(s, unicode.IsSpace)
		var tail []string
		for range n {
			i := strings.LastIndexFunc(rest, unicode.IsSpace)
			if i < 0 {
				break
			}
			tail = append([]string{rest[i+1:]}, tail...)
			rest = strings.TrimRightFunc(rest[:i], unicode.IsSpace)
		}
		if rest != "" {
			tail = append([]string{rest}, tail...)
		}
		return tail
	}
	rest := strings.TrimLeftFunc(s, unicode.IsSpace)
	var out []string
	for range n {
		i := strings.IndexFunc(rest, unicode.IsSpace)
		if i < 0 {
			break
		}
		out = append(out, rest[:i])
		rest = strings.TrimLeftFunc(rest[i:], unicode.IsSpace)
	}
	if rest != "" {
		out = append(out, rest)
	}
	return out
}

func parted(s, separator string, i int) value {
	if i < 0 {
		return tuple{s, "", ""}
	}
	return tuple{s[:i], separator, s[i+len(separator):]}
}

func padded(place func(missing int) (left, right int)) textMethod {
	return func(m *machine, s string, a arguments) (value, error) {
		width, err := a.width(0, "width", 0)
		if err != nil {
			return nil, err
		}
		fill, err := a.textAt(1, "fillchar", " ")
		if err != nil || utf8.RuneCountInString(fill) != 1 {
			return nil, errors.New("one character is wanted to fill with")
		}
		missing := max(0, width-utf8.RuneCountInString(s))
		left, right := place(missing)
		return strings.Repeat(fill, left) + s + strings.Repeat(fill, right), m.budget.text(len(s) + missing*len(fill))
	}
}

func centred(missing int) (left, right int) { return missing / 2, missing - missing/2 }

func lines(s string) []string {
	all := strings.Split(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

func titled(s string) string {
	var b strings.Builder
	before := false
	for _, c := range s {
		if before {
			b.WriteRune(unicode.ToLower(c))
		} else {
			b.WriteRune(unicode.ToUpper(c))
		}
		before = unicode.IsLetter(c)
	}
	return b.String()
}

func capitalized(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(c)) + strings.ToLower(s[n:])
}

// replaced bounds what a replacement makes before making it.
func (m *machine) replaced(s, old, fresh string, n int) (value, error) {
	found := strings.Count(s, old)
	if n >= 0 {
		found = min(found, n)
	}
	if err := m.budget.text(len(s) + found*len(fresh)); err != nil {
		return nil, err
	}
	return strings.Replace(s, old, fresh, n), nil
}

func (m *machine) joinedAll(separator string, items []value) (value, error) {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(separator)
		}
		if u, ok := item.(undefined); ok {
			return nil, u.problem()
		}
		b.WriteString(str(item))
		if b.Len() > MaxTextBytes {
			break
		}
	}
	return b.String(), m.budget.text(b.Len())
}

var textMethods = map[string]textMethod{
	"upper": plain(strings.ToUpper), "lower": plain(strings.ToLower), "casefold": plain(strings.ToLower), "title": plain(titled), "capitalize": plain(capitalized),
	"swapcase": plain(func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsUpper(c) {
				return unicode.ToLower(c)
			}
			return unicode.ToUpper(c)
		}, s)
	}),
	"encode": plain(func(s string) string { return s }), "decode": plain(func(s string) string { return s }),
	"isdigit": asks(unicode.IsDigit), "isdecimal": asks(unicode.IsDigit), "isnumeric": asks(unicode.IsNumber), "isalpha": asks(unicode.IsLetter), "isspace": asks(unicode.IsSpace),
	"isalnum": asks(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
	"islower": func(_ *machine, s string, _ arguments) (value, error) {
		return s == strings.ToLower(s) && s != strings.ToUpper(s), nil
	},
	"isupper": func(_ *machine, s string, _ arguments) (value, error) {
		return s == strings.ToUpper(s) && s != strings.ToLower(s), nil
	},
	"strip": stripped(strings.Trim, strings.TrimSpace),
	"lstrip": stripped(strings.TrimLeft, func(s string) string {
		return strings.TrimLeftFunc(s, unicode.IsSpace)
	}),
	"rstrip": stripped(strings.TrimRight, func(s string) string {
		return strings.TrimRightFunc(s, unicode.IsSpace)
	}),
	"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
	"find": finder(strings.Index, false), "rfind": finder(strings.LastIndex, false), "index": finder(strings.Index, true), "rindex": finder(strings.LastIndex, true),
	"count": func(_ *machine, s string, a arguments) (value, error) {
		part, err := a.textAt(0, "sub", "")
		return int64(strings.Count(s, part)), err
	},
	"split": cutter(false), "rsplit": cutter(true),
	"splitlines": func(_ *machine, s string, _ arguments) (value, error) { return texts(lines(s)), nil },
	"partition": func(_ *machine, s string, a arguments) (value, error) {
		separator, err := a.textAt(0, "sep", "")
		return parted(s, separator, strings.Index(s, separator)), err
	},
	"rpartition": func(_ *machine, s string, a arguments) (value, error) {
		separator, err := a.textAt(0, "sep", "")
		i := strings.LastIndex(s, separator)
		if i < 0 {
			return tuple{"", "", s}, err
		}
		return parted(s, separator, i), err
	},
	"join": func(m *machine, s string, a arguments) (value, error) {
		v, err := a.one()
		if err != nil {
			return nil, err
		}
		items, err := sequence(v)
		if err != nil {
			return nil, err
		}
		return m.joinedAll(s, items)
	},
	"replace": func(m *machine, s string, a arguments) (value, error) {
		old, err := a.textAt(0, "old", "")
		if err != nil {
			return nil, err
		}
		fresh, err := a.textAt(1, "new", "")
		if err != nil {
			return nil, err
		}
		n, err := a.intAt(2, "count", -1)
		if err != nil {
			return nil, err
		}
		return m.replaced(s, old, fresh, n)
	},
	"removeprefix": func(_ *machine, s string, a arguments) (value, error) {
		p, err := a.textAt(0, "prefix", "")
		return strings.TrimPrefix(s, p), err
	},
	"removesuffix": func(_ *machine, s string, a arguments) (value, error) {
		p, err := a.textAt(0, "suffix", "")
		return strings.TrimSuffix(s, p), err
	},
	"zfill": func(m *machine, s string, a arguments) (value, error) {
		width, err := a.width(0, "width", 0)
		sign := ""
		if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
			sign, s = s[:1], s[1:]
		}
		return sign + strings.Repeat("0", max(0, width-len(sign)-utf8.RuneCountInString(s))) + s, err
	},
	"center": padded(centred), "ljust": padded(func(n int) (int, int) { return 0, n }), "rjust": padded(func(n int) (int, int) { return n, 0 }),
}
