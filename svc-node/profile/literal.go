package profile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literalMark starts an option that holds data: slapos.buildout writes what is not text so, and templates write it
// with dumps().
const literalMark = "!py!"

// parseLiteral reads a Python literal: None, booleans, numbers, text, lists, tuples, sets and dictionaries with
// text keys.
func parseLiteral(text string) (any, error) {
	p := &literal{rest: text}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.blank(); p.rest != "" {
		return nil, fmt.Errorf("%q is not expected there", excerpt(p.rest))
	}
	return v, nil
}

type literal struct{ rest string }

func (p *literal) blank() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *literal) take(token string) bool {
	p.blank()
	if strings.HasPrefix(p.rest, token) {
		p.rest = p.rest[len(token):]
		return true
	}
	return false
}

func (p *literal) value(depth int) (any, error) {
	if depth > MaxDepth/2 {
		return nil, fmt.Errorf("it is nested deeper than %d", MaxDepth/2)
	}
	p.blank()
	if p.rest == "" {
		return nil, fmt.Errorf("it ends too early")
	}
	switch c := p.rest[0]; c {
	case '\'', '"':
		return p.text()
	case '[', '(':
		closing := "]"
		if c == '(' {
			closing = ")"
		}
		p.rest = p.rest[1:]
		return p.list(closing, depth)
	case '{':
		p.rest = p.rest[1:]
		return p.dictionary(depth)
	}
	end := strings.IndexFunc(p.rest, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("+-._", c))
	})
	word := p.rest
	if end >= 0 {
		word = p.rest[:end]
	}
	p.rest = p.rest[len(word):]
	switch word {
	case "None":
		return nil, nil
	case "True":
		return true, nil
	case "False":
		return false, nil
	case "u", "b":
		if strings.HasPrefix(p.rest, "'") || strings.HasPrefix(p.rest, "\"") {
			return p.text()
		}
	case "set":
		if p.take("(") {
			inner, err := p.list(")", depth)
			if list, ok := inner.([]any); ok && len(list) == 1 {
				return list[0], err
			}
			return inner, err
		}
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil && word[0] != 'n' && word[0] != 'i' && word[0] != 'N' && word[0] != 'I' {
		return n, nil
	}
	return nil, fmt.Errorf("%q is not a literal", excerpt(word))
}

func (p *literal) list(closing string, depth int) (any, error) {
	list := []any{}
	for !p.take(closing) {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if !p.take(",") {
			if p.take(closing) {
				break
			}
			return nil, fmt.Errorf("a comma or %q is missing", closing)
		}
	}
	return list, nil
}

// dictionary reads a dictionary, or a set, which becomes a list.
func (p *literal) dictionary(depth int) (any, error) {
	all, list := map[string]any{}, []any{}
	for !p.take("}") {
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.take(":") {
			name, ok := key.(string)
			if !ok {
				return nil, fmt.Errorf("a key that is not text")
			}
			if all[name], err = p.value(depth + 1); err != nil {
				return nil, err
			}
		} else {
			list = append(list, key)
		}
		if !p.take(",") {
			if p.take("}") {
				break
			}
			return nil, fmt.Errorf("a comma or %q is missing", "}")
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	return all, nil
}

func (p *literal) text() (any, error) {
	quote := p.rest[0]
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == quote:
			p.rest = p.rest[i+1:]
			return b.String(), nil
		case c != '\\':
			b.WriteByte(c)
		case i+1 == len(p.rest):
			return nil, fmt.Errorf("a text is not closed")
		default:
			i++
			n, err := escape(&b, p.rest[i:])
			if err != nil {
				return nil, err
			}
			i += n
		}
	}
	return nil, fmt.Errorf("a text is not closed")
}

// escape writes what an escape stands for; n is how much longer than one letter it is.
func escape(b *strings.Builder, rest string) (n int, err error) {
	switch c := rest[0]; c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case '\\', '\'', '"':
		b.WriteByte(c)
	case 'x', 'u', 'U':
		size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		if len(rest) <= size {
			return 0, fmt.Errorf("an escape ends too early")
		}
		code, err := strconv.ParseUint(rest[1:1+size], 16, 32)
		if err != nil || code > utf8.MaxRune {
			return 0, fmt.Errorf("%q is not an escape", rest[:1+size])
		}
		b.WriteRune(rune(code))
		return size, nil
	default:
		b.WriteString("\\" + string(rune(c)))
	}
	return 0, nil
}
