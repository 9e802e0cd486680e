package jinja

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type filter = func(m *machine, v value, a arguments) (value, error)

func (m *machine) filter(name string, v value, a arguments) (value, error) {
	f, ok := filters[name]
	if !ok {
		f, ok = m.listFilter(name)
	}
	if !ok {
		return nil, errors.New("it is not known")
	}
	if u, isUndefined := v.(undefined); isUndefined && name != "default" && name != "d" {
		return nil, u.problem()
	}
	return f(m, v, a)
}

// onText makes a filter of a function of a text.
func onText(f func(string) string) filter {
	return func(m *machine, v value, _ arguments) (value, error) {
		s := str(v)
		return f(s), m.budget.text(len(s))
	}
}

// asMethod makes a filter of a method of texts.
func asMethod(name string) filter {
	return func(m *machine, v value, a arguments) (value, error) { return textMethods[name](m, str(v), a) }
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

var filters = map[string]filter{
	"upper": onText(strings.ToUpper), "lower": onText(strings.ToLower), "title": onText(titledWords), "capitalize": onText(capitalized),
	"string": onText(func(s string) string { return s }), "safe": func(_ *machine, v value, _ arguments) (value, error) { return v, nil },
	"e": onText(escapes.Replace), "escape": onText(escapes.Replace), "forceescape": onText(escapes.Replace),
	"trim": asMethod("strip"), "striptags": onText(stripTags), "pprint": func(_ *machine, v value, _ arguments) (value, error) { return repr(v), nil },
	"wordcount": func(_ *machine, v value, _ arguments) (value, error) { return int64(len(strings.Fields(str(v)))), nil },
	"random": func(*machine, value, arguments) (value, error) {
		return nil, errors.New("it is not built in: a template renders the same each time")
	},
	"b64encode": func(m *machine, v value, _ arguments) (value, error) {
		s := base64.StdEncoding.EncodeToString([]byte(str(v)))
		return s, m.budget.text(len(s))
	},
	"default": defaultFilter, "d": defaultFilter,
	"replace": func(m *machine, v value, a arguments) (value, error) {
		old, fresh := "", ""
		if x, ok := a.pick(0, "old"); ok {
			old = str(x)
		}
		if x, ok := a.pick(1, "new"); ok {
			fresh = str(x)
		}
		n, err := a.intAt(2, "count", -1)
		if err != nil {
			return nil, err
		}
		return m.replaced(str(v), old, fresh, n)
	},
	"center": func(m *machine, v value, a arguments) (value, error) {
		width, err := a.width(0, "width", 80)
		s := str(v)
		missing := max(0, width-utf8.RuneCountInString(s))
		// Python's own rounding: the odd blank goes left when the width is odd too.
		left := missing/2 + missing&width&1
		return strings.Repeat(" ", left) + s + strings.Repeat(" ", missing-left), err
	},
	"format": func(m *machine, v value, a arguments) (value, error) {
		if len(a.order) > 0 {
			d := newDict()
			if err := d.fill(arguments{named: a.named, order: a.order}); err != nil {
				return nil, err
			}
			return m.format(str(v), d)
		}
		return m.format(str(v), tuple(a.list))
	},
	"indent": indent,
	"int": func(_ *machine, v value, a arguments) (value, error) {
		otherwise, ok := a.pick(0, "default")
		if !ok {
			otherwise = int64(0)
		}
		base, err := a.intAt(1, "base", 10)
		if err != nil {
			return nil, err
		}
		if f, ok := v.(float64); ok {
			return int64(f), nil
		}
		if n, ok := toInt(v); ok {
			return n, nil
		}
		text := strings.TrimSpace(str(v))
		if base == 16 {
			text = strings.TrimPrefix(strings.ToLower(text), "0x")
		}
		if n, err := strconv.ParseInt(text, base, 64); err == nil && base > 1 {
			return n, nil
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return int64(f), nil
		}
		return otherwise, nil
	},
	"float": func(_ *machine, v value, a arguments) (value, error) {
		if f, ok := toFloat(v); ok {
			return f, nil
		}
		if f, err := strconv.ParseFloat(strings.TrimSpace(str(v)), 64); err == nil {
			return f, nil
		}
		if otherwise, ok := a.pick(0, "default"); ok {
			return otherwise, nil
		}
		return 0.0, nil
	},
	"abs": func(_ *machine, v value, _ arguments) (value, error) {
		switch x := v.(type) {
		case int64:
			return int64(magnitude(x)), nil
		case float64:
			return math.Abs(x), nil
		}
		return nil, fmt.Errorf("a number is wanted, a %s is given", typeName(v))
	},
	"round": round,
	"tojson": func(m *machine, v value, a arguments) (value, error) {
		width, err := a.intAt(0, "indent", -1)
		if err != nil {
			return nil, err
		}
		text, err := m.json(v, jsonStyle{indent: width, sorted: true, ascii: true})
		return strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`).Replace(text), err
	},
	"urlencode": func(m *machine, v value, _ arguments) (value, error) {
		d, ok := v.(*dict)
		if !ok {
			return quoteURL(str(v), "/"), nil
		}
		var parts []string
		for _, key := range d.keys {
			element, _ := d.get(key)
			parts = append(parts, url.QueryEscape(str(key))+"="+url.QueryEscape(str(element)))
		}
		return strings.Join(parts, "&"), nil
	},
	"truncate": func(_ *machine, v value, a arguments) (value, error) {
		length, err := a.intAt(0, "length", 255)
		if err != nil {
			return nil, err
		}
		whole, err := a.boolAt(1, "killwords", false)
		if err != nil {
			return nil, err
		}
		end, err := a.textAt(2, "end", "...")
		if err != nil {
			return nil, err
		}
		leeway, err := a.intAt(3, "leeway", 5)
		runes := []rune(str(v))
		if len(runes) <= length+leeway || err != nil {
			return string(runes), err
		}
		cut := string(runes[:max(0, length-len([]rune(end)))])
		if i := strings.LastIndexByte(cut, ' '); i >= 0 && !whole {
			cut = cut[:i]
		}
		return cut + end, nil
	},
	"wordwrap": func(m *machine, v value, a arguments) (value, error) {
		width, err := a.intAt(0, "width", 79)
		if err != nil || width < 1 {
			return nil, errors.New("a width is wanted")
		}
		s := str(v)
		return wordWrap(s, width), m.budget.text(2 * len(s))
	},
	"filesizeformat": func(_ *machine, v value, _ arguments) (value, error) {
		size, ok := toFloat(v)
		if !ok {
			return nil, errors.New("a number is wanted")
		}
		if size < 1000 {
			return fmt.Sprintf("%d Bytes", int64(size)), nil
		}
		unit := 0
		for size >= 1000 && unit < 8 {
			size /= 1000
			unit++
		}
		return fmt.Sprintf("%.1f %cB", size, "?kMGTPEZY"[unit]), nil
	},
	"xmlattr": func(_ *machine, v value, _ arguments) (value, error) {
		d, ok := v.(*dict)
		if !ok {
			return nil, errors.New("a dictionary is wanted")
		}
		out := ""
		for _, key := range d.keys {
			if element, _ := d.get(key); element != nil {
				out += " " + escapes.Replace(str(key)) + `="` + escapes.Replace(str(element)) + `"`
			}
		}
		return out, nil
	},
}

func titledWords(s string) string {
	var b strings.Builder
	start := true
	for _, c := range s {
		if start {
			b.WriteRune(unicode.ToUpper(c))
		} else {
			b.WriteRune(unicode.ToLower(c))
		}
		start = unicode.IsSpace(c) || strings.ContainsRune("-([{<", c)
	}
	return b.String()
}

func stripTags(s string) string {
	var b strings.Builder
	inside := false
	for _, c := range s {
		switch {
		case c == '<':
			inside = true
		case c == '>' && inside:
			inside = false
		case !inside:
			b.WriteRune(c)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func wordWrap(s string, width int) string {
	var out []string
	for _, line := range lines(s) {
		current := ""
		for _, word := range strings.Fields(line) {
			for len(word) > width {
				if current != "" {
					out, current = append(out, current), ""
				}
				out, word = append(out, word[:width]), word[width:]
			}
			switch {
			case current == "":
				current = word
			case len(current)+1+len(word) <= width:
				current += " " + word
			default:
				out, current = append(out, current), word
			}
		}
		out = append(out, current)
	}
	return strings.Join(out, "\n")
}

// quoteURL is Python's urllib.parse.quote.
func quoteURL(s, safe string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("_.-~"+safe, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func defaultFilter(_ *machine, v value, a arguments) (value, error) {
	_, isUndefined := v.(undefined)
	whenFalse, err := a.boolAt(1, "boolean", false)
	if err != nil {
		return nil, err
	}
	if !isUndefined && whenFalse {
		holds, err := truth(v)
		if err != nil {
			return nil, err
		}
		isUndefined = !holds
	}
	if !isUndefined {
		return v, nil
	}
	if otherwise, ok := a.pick(0, "default_value"); ok {
		return otherwise, nil
	}
	return "", nil
}

func indent(m *machine, v value, a arguments) (value, error) {
	s, blanks := str(v), ""
	if x, ok := a.pick(0, "width"); ok {
		if text, isText := x.(string); isText {
			blanks = text
		}
	}
	if blanks == "" {
		width, err := a.width(0, "width", 4)
		if err != nil {
			return nil, err
		}
		blanks = strings.Repeat(" ", max(0, width))
	}
	first, err := a.boolAt(1, "first", false)
	if err != nil {
		return nil, err
	}
	blank, err := a.boolAt(2, "blank", false)
	if err != nil {
		return nil, err
	}
	all := lines(s + "\n")
	if err := m.budget.text(len(s) + len(all)*len(blanks)); err != nil {
		return nil, err
	}
	for i := range all {
		if i == 0 && first || i > 0 && (blank || all[i] != "") {
			all[i] = blanks + all[i]
		}
	}
	return strings.Join(all, "\n"), nil
}

func round(_ *machine, v value, a arguments) (value, error) {
	f, ok := toFloat(v)
	if !ok {
		return nil, fmt.Errorf("a number is wanted, a %s is given", typeName(v))
	}
	precision, err := a.intAt(0, "precision", 0)
	if err != nil || precision < -300 || precision > 300 {
		return nil, errors.New("cannot use this precision")
	}
	how, err := a.textAt(1, "method", "common")
	if err != nil {
		return nil, err
	}
	factor := math.Pow10(precision)
	switch how {
	case "ceil":
		return math.Ceil(f*factor) / factor, nil
	case "floor":
		return math.Floor(f*factor) / factor, nil
	}
	if _, isInt := v.(int64); isInt && precision >= 0 {
		return f, nil
	}
	if precision > 0 {
		f, err = strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
		return f, err
	}
	return math.RoundToEven(f*factor) / factor, nil
}

// attributeGetter follows "a.b.0" into a value; nil gives the value itself.
func (m *machine) attributeGetter(name value, otherwise value, hasOtherwise bool) func(v value) (value, error) {
	if name == nil {
		return func(v value) (value, error) { return v, nil }
	}
	var path []value
	if text, ok := name.(string); ok {
		for _, part := range strings.Split(text, ".") {
			if n, err := strconv.ParseInt(part, 10, 64); err == nil {
				path = append(path, n)
			} else {
				path = append(path, part)
			}
		}
	} else {
		path = []value{name}
	}
	return func(v value) (value, error) {
		for _, key := range path {
			if err := m.budget.step(1); err != nil {
				return nil, err
			}
			v = item(v, key)
			if _, missing := v.(undefined); missing {
				if hasOtherwise {
					return otherwise, nil
				}
				return v, nil
			}
		}
		return v, nil
	}
}

// folded makes texts equal that differ in case only, for filters that do not tell them apart.
func folded(v value, sensitive bool) value {
	if s, ok := v.(string); ok && !sensitive {
		return strings.ToLower(s)
	}
	return v
}

// keysOf gives what items are sorted or grouped by.
func (m *machine) keysOf(items []value, attribute value, sensitive bool) ([]value, error) {
	var names []value
	if text, ok := attribute.(string); ok {
		for _, name := range strings.Split(text, ",") {
			names = append(names, name)
		}
	} else {
		names = []value{attribute}
	}
	keys := make([]value, len(items))
	for i, one := range items {
		var key tuple
		for _, name := range names {
			v, err := m.attributeGetter(name, nil, false)(one)
			if u, ok := v.(undefined); ok && err == nil {
				err = u.problem()
			}
			if err != nil {
				return nil, err
			}
			key = append(key, folded(v, sensitive))
		}
		keys[i] = key[0]
		if len(key) > 1 {
			keys[i] = key
		}
	}
	return keys, m.budget.elements(len(items))
}

// sortedNames lists the filters, for tests.
func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
