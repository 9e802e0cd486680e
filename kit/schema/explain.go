package schema

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Invalid says which parameters a schema does not accept.
type Invalid struct {
	// Problems are at most MaxProblems.
	Problems []Problem
	// More is how many further ones there are.
	More int
}

// Problem is one parameter that a schema does not accept.
type Problem struct {
	// Pointer is its JSON pointer, RFC 6901; empty = the whole.
	Pointer string
	// Rule is the keyword of the schema that does not hold, such as required.
	Rule string
	// Subject is the parameter for people; Text goes on after it, and says what is expected.
	Subject, Text string
	// File is the schema's.
	File string
}

// String is the problem with the parameter as people write it.
func (p Problem) String() string { return p.Subject + p.Text + " (" + p.File + ")" }

// Pointed is the problem with its JSON pointer and the rule.
func (p Problem) Pointed() string {
	pointer := p.Pointer
	if pointer == "" {
		pointer = "the whole"
	}
	return pointer + " (" + p.Rule + ")" + p.Text
}

// Error implements error.
func (e *Invalid) Error() string { return "cannot accept the parameters: " + e.tell(Problem.String) }

// Pointed lists the problems with JSON pointers and rules.
func (e *Invalid) Pointed() string { return e.tell(Problem.Pointed) }

func (e *Invalid) tell(one func(Problem) string) string {
	told := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		told[i] = one(p)
	}
	text := strings.Join(told, "; ")
	if e.More > 0 {
		text += fmt.Sprintf("; and %d more problems", e.More)
	}
	return text
}

// explain turns the library's tree of errors into problems of parameters.
func (s *Schema) explain(err error) error {
	var tree *jsonschema.ValidationError
	if !errors.As(err, &tree) {
		return fmt.Errorf("cannot check the parameters with %s: %w", s.file, err)
	}
	invalid := &Invalid{}
	seen := map[Problem]bool{}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) > 0 {
			for _, cause := range e.Causes {
				walk(cause)
			}
			return
		}
		problem := s.problem(e)
		if seen[problem] {
			return
		}
		seen[problem] = true
		if len(invalid.Problems) == MaxProblems {
			invalid.More++
			return
		}
		invalid.Problems = append(invalid.Problems, problem)
	}
	walk(tree)
	return invalid
}

// file is the path in the URL of a schema.
func file(location string) string {
	name, _, _ := strings.Cut(location, "#")
	return readable(name)
}

// problem tells one problem, without the value that has it.
func (s *Schema) problem(e *jsonschema.ValidationError) Problem {
	at := e.InstanceLocation
	p := Problem{Pointer: pointer(at...), Rule: strings.Join(e.ErrorKind.KeywordPath(), "/"), Subject: subject(strings.Join(at, ".")), File: file(e.SchemaURL)}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		p.Pointer = pointer(append(slices.Clone(at), k.Missing[0])...)
		names := make([]string, len(k.Missing))
		for i, missing := range k.Missing {
			names[i] = strings.Join(append(slices.Clone(at), missing), ".")
		}
		p.Subject, p.Text = strings.Join(names, ", "), " is required"
		if len(names) > 1 {
			p.Pointer = pointer(at...) + "/{" + strings.Join(k.Missing, ",") + "}"
		}
	case *kind.AdditionalProperties:
		p.Pointer = pointer(append(slices.Clone(at), k.Properties[0])...)
		known := s.known(e.SchemaURL)
		p.Subject, p.Text = quoted(k.Properties)+within1(strings.Join(at, ".")), " is not a parameter"+s.meant(k.Properties[0], known)
	case *kind.FalseSchema:
		p.Text, p.Rule = " is not allowed", "false"
	case *kind.Enum:
		p.Text = " is not one of " + list(k.Want)
	case *kind.Const:
		p.Text = " is not " + list([]any{k.Want})
	case *kind.Pattern:
		p.Text = fmt.Sprintf(" does not match %q", k.Want)
	case *kind.Format:
		p.Text = " is no " + k.Want
	case *kind.Minimum:
		p.Text = ": want at least " + ratio(k.Want)
	case *kind.Maximum:
		p.Text = ": want at most " + ratio(k.Want)
	case *kind.ExclusiveMinimum:
		p.Text = ": want more than " + ratio(k.Want)
	case *kind.ExclusiveMaximum:
		p.Text = ": want less than " + ratio(k.Want)
	case *kind.MultipleOf:
		p.Text = ": want a multiple of " + ratio(k.Want)
	case *kind.ContentEncoding, *kind.ContentMediaType, *kind.PropertyNames, *kind.Not:
		p.Text = " is not what the schema wants"
	default:
		p.Text = ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	}
	return p
}

// known are the properties of the schema at a location, if it is the whole's.
func (s *Schema) known(location string) []string {
	if location != s.compiled.Location {
		return nil
	}
	return sortedKeys(s.compiled.Properties)
}

// pointer is a JSON pointer.
func pointer(tokens ...string) string {
	var b strings.Builder
	for _, token := range tokens {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
	}
	return b.String()
}

func ratio(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func subject(name string) string {
	if name == "" {
		return "the whole"
	}
	return name
}

func within1(name string) string {
	if name == "" {
		return ""
	}
	return " in " + name
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i := range names {
		out[i] = fmt.Sprintf("%q", names[i])
	}
	return strings.Join(out, ", ")
}

// list writes what a schema allows.
func list(values []any) string {
	out := make([]string, 0, len(values))
	for i, value := range values {
		if i == 20 {
			out = append(out, "…")
			break
		}
		out = append(out, fmt.Sprint(value))
	}
	return strings.Join(out, ", ")
}
