package jinja

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// Module gives the Python module of a name, as "import" in a context gives it to templates: of each those functions that
// profiles use, and nothing that reads the machine, the clock or a network.
func Module(name string) (any, bool) {
	functions, ok := map[string]map[string]method{
		"json":                   {"dumps": jsonDumps, "loads": unary(func(_ *machine, v value) (value, error) { return readJSON(str(v)) })},
		"hashlib":                hashes(),
		"base64":                 base64Functions(),
		"urllib":                 urlFunctions(),
		"urllib.parse":           urlFunctions(),
		"six.moves.urllib.parse": urlFunctions(),
		"urlparse":               urlFunctions(),
		"six.moves.urllib_parse": urlFunctions(),
		"os.path":                pathFunctions(),
		"posixpath":              pathFunctions(),
		"six":                    sixFunctions(),
	}[name]
	if !ok {
		return nil, false
	}
	return &object{kind: "module", printed: "<module '" + name + "'>", get: func(name string) (value, bool) {
		f, ok := functions[name]
		return &function{name, f}, ok
	}}, true
}

// dumps writes a value so that a profile reads it back as data: text as it is, the rest as slapos.buildout's
// literal.
func dumps(m *machine, a arguments) (value, error) {
	v, err := a.one()
	if err != nil {
		return nil, err
	}
	if text, ok := v.(string); ok && !strings.ContainsAny(text, "\n$") && strings.TrimSpace(text) == text && text != "" {
		return text, nil
	}
	text := "!py!" + Literal(exported(v))
	return text, m.budget.text(len(text))
}

// readJSON keeps the order of keys.
func readJSON(text string) (value, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	v, err := readValue(decoder, 0)
	if err == nil && decoder.More() {
		err = errors.New("there is more than one value")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read JSON: %w", err)
	}
	return v, nil
}

func readValue(decoder *json.Decoder, depth int) (value, error) {
	t, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if depth > MaxNesting {
		return nil, fmt.Errorf("cannot nest deeper than %d", MaxNesting)
	}
	mark, ok := t.(json.Delim)
	if !ok {
		return imported(t), nil
	}
	if mark == '[' {
		out := &list{}
		for decoder.More() {
			element, err := readValue(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, element)
		}
		_, err := decoder.Token()
		return out, err
	}
	out := newDict()
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		element, err := readValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		if err := out.set(key, element); err != nil {
			return nil, err
		}
	}
	_, err = decoder.Token()
	return out, err
}

type jsonStyle struct {
	indent        int // below zero: on one line
	sorted, ascii bool
	item, key     string // separators; empty: Python's
}

func jsonDumps(m *machine, a arguments) (value, error) {
	if len(a.list) != 1 {
		return nil, errors.New("one value is wanted")
	}
	style := jsonStyle{}
	var err error
	if style.indent, err = a.width(99, "indent", -1); err != nil {
		return nil, err
	}
	if style.sorted, err = a.boolAt(99, "sort_keys", false); err != nil {
		return nil, err
	}
	if style.ascii, err = a.boolAt(99, "ensure_ascii", true); err != nil {
		return nil, err
	}
	if v, ok := a.named["separators"]; ok && v != nil {
		pair, err := sequence(v)
		if err != nil || len(pair) != 2 {
			return nil, errors.New("two separators are wanted")
		}
		style.item, style.key = str(pair[0]), str(pair[1])
	}
	return m.json(a.list[0], style)
}

// json writes a value as Python's json.dumps does.
func (m *machine) json(v value, style jsonStyle) (string, error) {
	if style.key == "" {
		style.item, style.key = ", ", ": "
		if style.indent >= 0 {
			style.item = ","
		}
	}
	var b strings.Builder
	if err := writeJSON(&b, v, style, 0); err != nil {
		return "", err
	}
	return b.String(), m.budget.text(b.Len())
}

func writeJSON(b *strings.Builder, v value, style jsonStyle, depth int) error {
	if depth > MaxNesting || b.Len() > MaxTextBytes {
		return errors.New("cannot write so much as JSON")
	}
	newline := func(depth int) {
		if style.indent >= 0 {
			b.WriteString("\n" + strings.Repeat(" ", min(style.indent*depth, MaxRange)))
		}
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		fmt.Fprint(b, v)
	case int64, float64:
		b.WriteString(repr(v))
	case string:
		writeJSONText(b, v, style.ascii)
	case *list, tuple:
		items, _ := sequence(v)
		b.WriteByte('[')
		for i, one := range items {
			if i > 0 {
				b.WriteString(style.item)
			}
			newline(depth + 1)
			if err := writeJSON(b, one, style, depth+1); err != nil {
				return err
			}
		}
		if len(items) > 0 {
			newline(depth)
		}
		b.WriteByte(']')
	case *dict:
		keys := make(map[string]value, len(v.keys))
		names := make([]string, 0, len(v.keys))
		for _, key := range v.keys {
			element, _ := v.get(key)
			name := str(key)
			if key == nil {
				name = "null"
			} else if isBool, ok := key.(bool); ok {
				name = fmt.Sprint(isBool)
			}
			keys[name] = element
			names = append(names, name)
		}
		if style.sorted {
			names = sortedNames(keys)
		}
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteString(style.item)
			}
			newline(depth + 1)
			writeJSONText(b, name, style.ascii)
			b.WriteString(style.key)
			if err := writeJSON(b, keys[name], style, depth+1); err != nil {
				return err
			}
		}
		if len(names) > 0 {
			newline(depth)
		}
		b.WriteByte('}')
	case undefined:
		return v.problem()
	default:
		return fmt.Errorf("cannot write a %s as JSON", typeName(v))
	}
	return nil
}

func writeJSONText(b *strings.Builder, text string, ascii bool) {
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c < 0x20:
			fmt.Fprintf(b, `\u%04x`, c)
		case c >= utf8.RuneSelf && ascii && c > 0xffff:
			c -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		case c >= utf8.RuneSelf && ascii:
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}

func hashes() map[string]method {
	made := func(sum func([]byte) []byte) method {
		return func(m *machine, a arguments) (value, error) {
			var b bytes.Buffer
			if len(a.list) > 0 {
				b.WriteString(str(a.list[0]))
			}
			return &object{kind: "hash", printed: "<hash>", get: func(name string) (value, bool) {
				switch name {
				case "hexdigest":
					return &function{name, func(*machine, arguments) (value, error) { return hex.EncodeToString(sum(b.Bytes())), nil }}, true
				case "update":
					return &function{name, func(m *machine, a arguments) (value, error) {
						v, err := a.one()
						b.WriteString(str(v))
						return nil, errors.Join(err, m.budget.text(b.Len()))
					}}, true
				}
				return nil, false
			}}, m.budget.text(b.Len())
		}
	}
	return map[string]method{
		"md5":    made(func(b []byte) []byte { s := md5.Sum(b); return s[:] }),
		"sha1":   made(func(b []byte) []byte { s := sha1.Sum(b); return s[:] }),
		"sha256": made(func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }),
		"sha512": made(func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }),
	}
}

func base64Functions() map[string]method {
	encode := func(e *base64.Encoding) method {
		return unary(func(m *machine, v value) (value, error) {
			s := e.EncodeToString([]byte(str(v)))
			return s, m.budget.text(len(s))
		})
	}
	decode := func(e *base64.Encoding) method {
		return unary(func(_ *machine, v value) (value, error) { b, err := e.DecodeString(str(v)); return string(b), err })
	}
	return map[string]method{
		"b64encode": encode(base64.StdEncoding), "urlsafe_b64encode": encode(base64.URLEncoding), "standard_b64encode": encode(base64.StdEncoding),
		"b64decode": decode(base64.StdEncoding), "urlsafe_b64decode": decode(base64.URLEncoding),
	}
}

func urlFunctions() map[string]method {
	quoted := func(safe string) method {
		return func(_ *machine, a arguments) (value, error) {
			if len(a.list) == 0 {
				return nil, errors.New("a text is wanted")
			}
			safe, err := a.textAt(1, "safe", safe)
			return quoteURL(str(a.list[0]), safe), err
		}
	}
	parse := unary(func(_ *machine, v value) (value, error) { return parsedURL(str(v)) })
	return map[string]method{
		"quote": quoted("/"), "urlparse": parse, "urlsplit": parse,
		"quote_plus": unary(func(_ *machine, v value) (value, error) { return url.QueryEscape(str(v)), nil }),
		"unquote":    unary(func(_ *machine, v value) (value, error) { return url.PathUnescape(str(v)) }),
		"urlencode": unary(func(m *machine, v value) (value, error) {
			d := newDict()
			if err := d.fill(arguments{list: []value{v}}); err != nil {
				return nil, err
			}
			return filters["urlencode"](m, d, arguments{})
		}),
		"urljoin": func(_ *machine, a arguments) (value, error) {
			if len(a.list) != 2 {
				return nil, errors.New("two URLs are wanted")
			}
			base, err := url.Parse(str(a.list[0]))
			if err != nil {
				return nil, errors.New("cannot read the URL")
			}
			joined, err := base.Parse(str(a.list[1]))
			if err != nil {
				return nil, errors.New("cannot read the URL")
			}
			return joined.String(), nil
		},
	}
}

func parsedURL(text string) (value, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("cannot read the URL") // the cause repeats the URL, which may hold a password
	}
	network := u.Host
	parts := map[string]value{"hostname": nil, "port": nil, "username": nil, "password": nil}
	if u.User != nil {
		network = u.User.String() + "@" + network
		parts["username"] = u.User.Username()
		if password, ok := u.User.Password(); ok {
			parts["password"] = password
		}
	}
	if host := u.Hostname(); host != "" {
		parts["hostname"] = strings.ToLower(host)
	}
	if n, err := integerOf(nil, arguments{list: []value{u.Port()}}); err == nil {
		parts["port"] = n
	}
	parts["scheme"], parts["netloc"], parts["path"], parts["params"], parts["query"], parts["fragment"] = u.Scheme, network, u.EscapedPath(), "", u.RawQuery, u.Fragment
	return &object{kind: "ParseResult", printed: text, get: func(name string) (value, bool) {
		if name == "geturl" {
			return &function{name, func(*machine, arguments) (value, error) { return text, nil }}, true
		}
		v, ok := parts[name]
		return v, ok
	}}, nil
}

func pathFunctions() map[string]method {
	of := func(f func(string) string) method {
		return unary(func(_ *machine, v value) (value, error) { return f(str(v)), nil })
	}
	return map[string]method{
		"basename": of(func(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }),
		"dirname": of(func(s string) string {
			head := s[:strings.LastIndexByte(s, '/')+1]
			if cut := strings.TrimRight(head, "/"); cut != "" {
				return cut
			}
			return head
		}),
		"normpath": of(path.Clean),
		"isabs":    unary(func(_ *machine, v value) (value, error) { return path.IsAbs(str(v)), nil }),
		"join": func(m *machine, a arguments) (value, error) {
			out := ""
			for _, v := range a.list {
				part := str(v)
				switch {
				case path.IsAbs(part) || out == "":
					out = part
				case strings.HasSuffix(out, "/"):
					out += part
				default:
					out += "/" + part
				}
			}
			return out, m.budget.text(len(out))
		},
		"splitext": unary(func(_ *machine, v value) (value, error) {
			s := str(v)
			extension := path.Ext(s)
			return tuple{strings.TrimSuffix(s, extension), extension}, nil
		}),
	}
}

func sixFunctions() map[string]method {
	on := func(f dictMethod) method {
		return unary(func(m *machine, v value) (value, error) {
			d, ok := v.(*dict)
			if !ok {
				return nil, errors.New("a dictionary is wanted")
			}
			return f(m, d, arguments{})
		})
	}
	return map[string]method{"iteritems": on(dictItems), "iterkeys": on(dictKeys), "itervalues": on(dictValues), "ensure_str": textOf, "ensure_text": textOf, "text_type": textOf}
}
