package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// MaxWork is how much one check may cost: schemas looked at for a value, and thousandths of steps of regular expressions. The largest public
	// schema costs some thousands; as many as that take 1.5 s at the worst, when each of them fails.
	MaxWork = 200_000
	// MaxExpressions bounds the compiled size of all regular expressions of a schema, in instructions of 40 bytes; further ones are not checked.
	MaxExpressions = 100_000
)

// ErrTooCostly ends a check that takes more than MaxWork: schemas that refer to each other in several branches cost a power of the depth of the parameters.
var ErrTooCostly = errors.New("checking takes too long with this schema")

// budget bounds the work of one check of a schema. The library knows no limit: it is counted where each schema checks its format.
type budget struct {
	mu          sync.Mutex // held during a check
	most, left  int
	expressions int
}

// begin begins a check; what it returns ends it.
func (b *budget) begin() func(err *error, file string) {
	b.mu.Lock()
	b.left = b.most
	return func(err *error, file string) {
		defer b.mu.Unlock()
		if r := recover(); r != nil {
			if r != ErrTooCostly { //nolint:errorlint // the very value that spend panics with
				panic(r)
			}
			*err = fmt.Errorf("cannot check the parameters with %s: %w", file, ErrTooCostly)
		}
	}
}

func (b *budget) spend(n int) {
	if b.left -= n; b.left < 0 {
		panic(ErrTooCostly)
	}
}

// watch has every schema that can be reached count its work. What returns before its format is looked at (a wrong type, constant or enumeration) is
// counted with the schema that looks at it.
func (b *budget) watch(root *jsonschema.Schema) {
	seen := map[*jsonschema.Schema]bool{}
	var visit func(s *jsonschema.Schema)
	visit = func(s *jsonschema.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		cost := 1
		for _, inner := range reachable(s) {
			if inner == nil {
				continue
			}
			cost++
			if inner.Enum != nil {
				cost += len(inner.Enum.Values)
			}
			visit(inner)
		}
		var own func(any) error
		format := &jsonschema.Format{}
		if s.Format != nil {
			format.Name, own = s.Format.Name, s.Format.Validate
		}
		format.Validate = func(v any) error {
			b.spend(cost)
			if own == nil {
				return nil
			}
			return own(v)
		}
		s.Format = format
	}
	visit(root)
}

// reachable lists all schemas that a schema names.
func reachable(s *jsonschema.Schema) []*jsonschema.Schema {
	all := append(branches(s), s.Not, s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema)
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	all = append(all, s.PrefixItems...)
	for _, inner := range s.Properties {
		all = append(all, inner)
	}
	for _, inner := range s.PatternProperties {
		all = append(all, inner)
	}
	for _, one := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch inner := one.(type) {
		case *jsonschema.Schema:
			all = append(all, inner)
		case []*jsonschema.Schema:
			all = append(all, inner...)
		}
	}
	for _, one := range s.Dependencies {
		if inner, ok := one.(*jsonschema.Schema); ok {
			all = append(all, inner)
		}
	}
	return all
}

// compileRegexp compiles a pattern. Schemas use the expressions of JavaScript; one that Go does not know, such as a
// look-ahead, is not checked rather than refused, since the release works with it elsewhere.
func (b *budget) compileRegexp(text string) (jsonschema.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return unchecked(text), nil //nolint:nilerr // see above: what Go does not know is not checked
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return unchecked(text), nil //nolint:nilerr // the same
	}
	if b.expressions += len(program.Inst); b.expressions > MaxExpressions {
		return unchecked(text), nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return unchecked(text), nil //nolint:nilerr // the same
	}
	return &expression{compiled, len(program.Inst), b}, nil
}

// expression is a regular expression whose matching is counted.
type expression struct {
	compiled *regexp.Regexp
	size     int
	budget   *budget
}

// MatchString implements jsonschema.Regexp.
func (e *expression) MatchString(text string) bool {
	e.budget.spend(1 + len(text)*e.size/1000)
	return e.compiled.MatchString(text)
}

// String implements jsonschema.Regexp.
func (e *expression) String() string { return e.compiled.String() }

type unchecked string

// MatchString implements jsonschema.Regexp.
func (unchecked) MatchString(string) bool { return true }

// String implements jsonschema.Regexp.
func (u unchecked) String() string { return string(u) }

// nesting is how deep objects and lists of a JSON text are nested.
func nesting(text []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
