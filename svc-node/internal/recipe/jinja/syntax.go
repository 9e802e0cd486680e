package jinja

import "strings"

// adapt rewrites what Python's syntax allows and the engine's parser does not know, inside code only and without
// moving anything:
//
//	['a', 'b',]        the comma before a closing bracket becomes a blank
//	dict(a, **b)       the stars become "_=", which our dict understands
func adapt(source string) string {
	var out []byte
	for i := 0; i+1 < len(source); i++ {
		if source[i] != '{' || source[i+1] != '{' && source[i+1] != '%' && source[i+1] != '#' {
			continue
		}
		end := blockEnd(source, i)
		if source[i+1] != '#' {
			commas, stars := oddities(source[i:end])
			if out == nil && len(commas)+len(stars) > 0 {
				out = []byte(source)
			}
			for _, at := range commas {
				out[i+at] = ' '
			}
			for _, at := range stars {
				copy(out[i+at:], "_=")
			}
		}
		i = end - 1
	}
	if out == nil {
		return source
	}
	return string(out)
}

// blockEnd finds where the block that starts at i ends.
func blockEnd(source string, i int) int {
	if source[i+1] == '#' {
		if n := strings.Index(source[i:], "#}"); n >= 0 {
			return i + n + 2
		}
		return len(source)
	}
	closing := "}}"
	if source[i+1] == '%' {
		closing = "%}"
	}
	quote, depth := byte(0), 0
	for k := i + 2; k < len(source); k++ {
		c := source[k]
		switch {
		case quote != 0:
			switch c {
			case '\\':
				k++
			case quote:
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case depth == 0 && strings.HasPrefix(source[k:], closing):
			return k + 2
		case c == '{' || c == '[' || c == '(':
			depth++
		case c == '}' || c == ']' || c == ')':
			depth--
		}
	}
	return len(source)
}

// oddities finds, outside of strings, commas before a closing bracket or brace and stars that unpack an argument.
func oddities(code string) (commas, stars []int) {
	definition := strings.HasPrefix(strings.TrimLeft(code[2:], "-+ \t\n"), "macro")
	quote, before, comma := byte(0), byte(0), -1
	for k := 2; k < len(code); k++ {
		c := code[k]
		if quote != 0 {
			switch c {
			case '\\':
				k++
			case quote:
				quote = 0
			}
			continue
		}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			continue
		case c == '\'' || c == '"':
			quote = c
		case (c == ']' || c == '}') && before == ',':
			commas = append(commas, comma)
		case c == '*' && k+1 < len(code) && code[k+1] == '*' && (before == '(' || before == ',') && !definition:
			stars = append(stars, k)
			k++
		}
		before = c
		if c == ',' {
			comma = k
		}
	}
	return commas, stars
}
