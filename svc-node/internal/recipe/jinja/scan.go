package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// kindOf is what a token is.
type kindOf int

const (
	tokEnd kindOf = iota
	tokData
	tokBlockBegin
	tokBlockEnd
	tokPrintBegin
	tokPrintEnd
	tokName
	tokString
	tokInteger
	tokFloat
	tokOperator
)

// token is one word of a template.
type token struct {
	kind kindOf
	text string // a name, an operator, data, or a string without quotes and escapes
	int  int64
	num  float64
	line int
}

func (t token) String() string {
	switch t.kind {
	case tokEnd:
		return "the end of the template"
	case tokBlockEnd:
		return "%}"
	case tokPrintEnd:
		return "}}"
	case tokString:
		return pythontext.Quote(t.text)
	case tokInteger:
		return strconv.FormatInt(t.int, 10)
	default:
		return t.text
	}
}

type scanner struct {
	source string
	at     int
	line   int
	tokens []token
}

// scan cuts a template into tokens.
func scan(source string) ([]token, error) {
	s := &scanner{source: source, line: 1}
	trim := false
	for s.at < len(s.source) {
		next, kind := s.opening()
		data := s.source[s.at:next]
		line := s.line
		s.line += strings.Count(data, "\n")
		if trim {
			data = strings.TrimLeft(data, " \t\n\r\v\f")
		}
		s.at = next
		if kind == 0 {
			s.emit(token{kind: tokData, text: data, line: line})
			break
		}
		s.at += 2
		if s.at < len(s.source) && s.source[s.at] == '-' {
			data = strings.TrimRight(data, " \t\n\r\v\f")
			s.at++
		} else if s.at < len(s.source) && s.source[s.at] == '+' {
			s.at++
		}
		s.emit(token{kind: tokData, text: data, line: line})
		var err error
		switch kind {
		case '#':
			trim, err = s.comment()
		case '{':
			trim, err = s.code(tokPrintBegin, tokPrintEnd, "}}")
		default:
			if body, after, ok := s.raw(); ok {
				s.line += strings.Count(s.source[s.at:after], "\n")
				s.emit(token{kind: tokData, text: body, line: s.line})
				trim = strings.HasSuffix(s.source[:after], "-%}")
				s.at = after
				continue
			}
			trim, err = s.code(tokBlockBegin, tokBlockEnd, "%}")
		}
		if err != nil {
			return nil, err
		}
	}
	return append(s.tokens, token{kind: tokEnd, line: s.line}), nil
}

func (s *scanner) emit(t token) {
	if t.kind != tokData || t.text != "" {
		s.tokens = append(s.tokens, t)
	}
}

// opening finds the next {{, {% or {#.
func (s *scanner) opening() (int, byte) {
	for i := s.at; i+1 < len(s.source); i++ {
		if s.source[i] == '{' {
			switch c := s.source[i+1]; c {
			case '{', '%', '#':
				return i, c
			}
		}
	}
	return len(s.source), 0
}

func (s *scanner) comment() (trim bool, err error) {
	n := strings.Index(s.source[s.at:], "#}")
	if n < 0 {
		return false, fmt.Errorf("line %d: a comment is not closed", s.line)
	}
	body := s.source[s.at : s.at+n]
	s.line += strings.Count(body, "\n")
	s.at += n + 2
	return strings.HasSuffix(body, "-"), nil
}

// raw finds "raw %} … {% endraw %}" and returns what is between, and where it ends.
func (s *scanner) raw() (body string, after int, ok bool) {
	rest := s.source[s.at:]
	word := strings.TrimLeft(rest, " \t\n")
	if !strings.HasPrefix(word, "raw") {
		return "", 0, false
	}
	closing := strings.TrimLeft(word[3:], " \t\n")
	cut := strings.HasPrefix(closing, "-%}")
	if closing = strings.TrimPrefix(strings.TrimPrefix(closing, "-"), "+"); !strings.HasPrefix(closing, "%}") {
		return "", 0, false
	}
	begin := len(rest) - len(closing) + 2
	for i := begin; i < len(rest); i++ {
		if !strings.HasPrefix(rest[i:], "{%") {
			continue
		}
		end := strings.Index(rest[i:], "%}")
		if end < 0 {
			break
		}
		inner := rest[i+2 : i+end]
		if strings.TrimSpace(strings.Trim(inner, "-+")) != "endraw" {
			continue
		}
		body = rest[begin:i]
		if strings.HasPrefix(inner, "-") {
			body = strings.TrimRight(body, " \t\n\r\v\f")
		}
		if cut {
			body = strings.TrimLeft(body, " \t\n\r\v\f")
		}
		return body, s.at + i + end + 2, true
	}
	return "", 0, false
}

// operators, longest first.
var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|", ";"}

// code scans up to the closing mark, outside of brackets.
func (s *scanner) code(begin, end kindOf, closing string) (trim bool, err error) {
	s.emit(token{kind: begin, line: s.line})
	depth := 0
	for s.at < len(s.source) {
		c := s.source[s.at]
		rest := s.source[s.at:]
		switch c {
		case '\n':
			s.line++
			s.at++
			continue
		case ' ', '\t', '\r', '\v', '\f':
			s.at++
			continue
		}
		if depth == 0 {
			mark := rest
			if c == '-' || c == '+' {
				mark = rest[1:]
			}
			if strings.HasPrefix(mark, closing) {
				s.at += len(rest) - len(mark) + 2
				s.emit(token{kind: end, line: s.line})
				return c == '-', nil
			}
		}
		switch {
		case c == '"' || c == '\'':
			if err := s.text(c); err != nil {
				return false, err
			}
		case c >= '0' && c <= '9':
			if err := s.number(); err != nil {
				return false, err
			}
		case isNameStart(rest):
			n := nameLength(rest)
			s.emit(token{kind: tokName, text: rest[:n], line: s.line})
			s.at += n
		default:
			op := ""
			for _, candidate := range operators {
				if strings.HasPrefix(rest, candidate) {
					op = candidate
					break
				}
			}
			if op == "" {
				r, _ := utf8.DecodeRuneInString(rest)
				return false, fmt.Errorf("line %d: cannot read %q", s.line, r)
			}
			switch op {
			case "(", "[", "{":
				if depth++; depth > MaxNesting {
					return false, fmt.Errorf("line %d: cannot nest brackets deeper than %d", s.line, MaxNesting)
				}
			case ")", "]", "}":
				depth = max(0, depth-1)
			}
			s.emit(token{kind: tokOperator, text: op, line: s.line})
			s.at += len(op)
		}
	}
	return false, fmt.Errorf("line %d: no %s to the end of the template", s.line, closing)
}

func isNameStart(s string) bool {
	return nameLength(s) > 0
}

func nameLength(s string) int {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf && c != utf8.RuneError
		if !letter && !(i > 0 && c >= '0' && c <= '9') {
			return i
		}
	}
	return len(s)
}

// text scans a string with Python's escapes.
func (s *scanner) text(mark byte) error {
	line := s.line
	var b strings.Builder
	for i := s.at + 1; i < len(s.source); i++ {
		c := s.source[i]
		switch {
		case c == mark:
			s.emit(token{kind: tokString, text: b.String(), line: line})
			s.at = i + 1
			return nil
		case c == '\\' && i+1 < len(s.source):
			i++
			n := s.escape(&b, s.source[i:])
			i += n - 1
		default:
			if c == '\n' {
				s.line++
			}
			b.WriteByte(c)
		}
	}
	return fmt.Errorf("line %d: a string is not closed", line)
}

// escape writes what follows a backslash and returns how many bytes that took.
func (s *scanner) escape(b *strings.Builder, rest string) int {
	simple := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '0': "\x00"}
	if text, ok := simple[rest[0]]; ok {
		b.WriteString(text)
		return 1
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[0]]
	if digits > 0 && len(rest) > digits {
		if n, err := strconv.ParseUint(rest[1:1+digits], 16, 32); err == nil {
			b.WriteRune(rune(n))
			return 1 + digits
		}
	}
	if rest[0] == '\n' {
		s.line++
		return 1
	}
	b.WriteByte('\\')
	b.WriteByte(rest[0])
	return 1
}

func (s *scanner) number() error {
	rest := s.source[s.at:]
	n, float := 0, false
	if len(rest) > 1 && rest[0] == '0' && strings.ContainsRune("xXoObB", rune(rest[1])) {
		n = 2
		for n < len(rest) && (rest[n] == '_' || strings.IndexByte("0123456789abcdefABCDEF", rest[n]) >= 0) {
			n++
		}
	} else {
		digits := func() {
			for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '_') {
				n++
			}
		}
		digits()
		if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
			float = true
			n++
			digits()
		}
		if n+1 < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
			k := n + 1
			if rest[k] == '+' || rest[k] == '-' {
				k++
			}
			if k < len(rest) && rest[k] >= '0' && rest[k] <= '9' {
				float = true
				n = k
				digits()
			}
		}
	}
	text := strings.ReplaceAll(rest[:n], "_", "")
	s.at += n
	if float {
		f, err := strconv.ParseFloat(text, 64)
		s.emit(token{kind: tokFloat, text: text, num: f, line: s.line})
		return err
	}
	base := 10
	if len(text) > 2 && text[0] == '0' && (text[1] < '0' || text[1] > '9') {
		base = 0
	}
	i, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		return fmt.Errorf("line %d: cannot use the number %s", s.line, text)
	}
	s.emit(token{kind: tokInteger, text: text, int: i, line: s.line})
	return nil
}
