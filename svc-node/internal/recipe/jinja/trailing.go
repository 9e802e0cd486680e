package jinja

import "strings"

// withoutTrailingCommas blanks the comma that Python allows before a closing bracket and the engine's parser does
// not know: ['a', 'b',] is usual in profiles. Only code is touched, and no position moves.
func withoutTrailingCommas(source string) string {
	var out []byte
	for i := 0; i+1 < len(source); i++ {
		if source[i] != '{' || source[i+1] != '{' && source[i+1] != '%' && source[i+1] != '#' {
			continue
		}
		end := blockEnd(source, i)
		if source[i+1] != '#' {
			for _, at := range trailingCommas(source[i:end]) {
				if out == nil {
					out = []byte(source)
				}
				out[i+at] = ' '
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
			if c == '\\' {
				k++
			} else if c == quote {
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

// trailingCommas finds commas before a closing bracket or brace, outside of strings.
func trailingCommas(code string) []int {
	var found []int
	quote, comma := byte(0), -1
	for k := 2; k < len(code); k++ {
		c := code[k]
		switch {
		case quote != 0:
			if c == '\\' {
				k++
			} else if c == quote {
				quote = 0
			}
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			continue
		case c == '\'' || c == '"':
			quote = c
		case (c == ']' || c == '}') && comma >= 0:
			found = append(found, comma)
		}
		comma = -1
		if c == ',' {
			comma = k
		}
	}
	return found
}
