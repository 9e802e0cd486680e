package profile

import (
	"fmt"
	"strings"
)

// conditionNames are the names a conditional section may use, with buildout's meanings, for the one kind
// of machine vow runs on: 64-bit little-endian Linux, with profiles written for Python 3.
var conditionNames = map[string]bool{
	"linux": true, "posix": true, "bits64": true, "little_endian": true, "python3": true,
	"windows": false, "darwin": false, "cygwin": false, "solaris": false, "freebsd": false,
	"bits32": false, "big_endian": false, "python2": false, "python": false, "jython": false, "pypy": false, "nt": false,
	"True": true, "False": false,
}

// evaluateCondition evaluates the expression of "[section:expression]": names, and, or, not, parentheses.
func evaluateCondition(expression string) (bool, error) {
	e := &condition{tokens: conditionTokens(expression)}
	if len(e.tokens) == 0 {
		return false, fmt.Errorf("it is empty")
	}
	holds, err := e.or(0)
	if err != nil {
		return false, err
	}
	if len(e.tokens) > 0 {
		return false, fmt.Errorf("%q is not expected there", e.tokens[0])
	}
	return holds, nil
}

type condition struct{ tokens []string }

func conditionTokens(s string) []string {
	s = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)
	return strings.Fields(s)
}

func (e *condition) next(token string) bool {
	if len(e.tokens) > 0 && e.tokens[0] == token {
		e.tokens = e.tokens[1:]
		return true
	}
	return false
}

func (e *condition) or(depth int) (bool, error) {
	left, err := e.and(depth)
	for err == nil && e.next("or") {
		var right bool
		right, err = e.and(depth)
		left = left || right
	}
	return left, err
}

func (e *condition) and(depth int) (bool, error) {
	left, err := e.not(depth)
	for err == nil && e.next("and") {
		var right bool
		right, err = e.not(depth)
		left = left && right
	}
	return left, err
}

func (e *condition) not(depth int) (bool, error) {
	if depth > MaxDepth {
		return false, fmt.Errorf("it is nested deeper than %d", MaxDepth)
	}
	if e.next("not") {
		holds, err := e.not(depth + 1)
		return !holds, err
	}
	if e.next("(") {
		holds, err := e.or(depth + 1)
		if err == nil && !e.next(")") {
			err = fmt.Errorf("a closing parenthesis is missing")
		}
		return holds, err
	}
	if len(e.tokens) == 0 {
		return false, fmt.Errorf("it ends too early")
	}
	name := e.tokens[0]
	e.tokens = e.tokens[1:]
	holds, ok := conditionNames[name]
	if !ok {
		return false, fmt.Errorf("%q is not known; known are and, or, not, parentheses and names such as linux, posix, bits64, python3", excerpt(name))
	}
	return holds, nil
}
