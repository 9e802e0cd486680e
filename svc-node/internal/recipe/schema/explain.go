package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Invalid says which parameters a schema does not accept.
type Invalid struct {
	// Problems are at most MaxProblems, each with its parameter and the schema's file.
	Problems []string
	// More is how many further ones there are.
	More int
}

// Error implements error.
func (e *Invalid) Error() string {
	text := "cannot accept the parameters: " + strings.Join(e.Problems, "; ")
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
	seen := map[string]bool{}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) > 0 {
			for _, cause := range e.Causes {
				walk(cause)
			}
			return
		}
		problem := fmt.Sprintf("%s (%s)", s.problem(e), file(e.SchemaURL))
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
func (s *Schema) problem(e *jsonschema.ValidationError) string {
	name := strings.Join(e.InstanceLocation, ".")
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		names := make([]string, len(k.Missing))
		for i, missing := range k.Missing {
			names[i] = strings.Join(append(append([]string(nil), e.InstanceLocation...), missing), ".")
		}
		return strings.Join(names, ", ") + " is required"
	case *kind.AdditionalProperties:
		known := sortedKeys(s.compiled.Properties)
		return quoted(k.Properties) + within1(name) + " is not a parameter" + suggest(k.Properties[0], known)
	case *kind.FalseSchema:
		return subject(name) + " is not allowed"
	case *kind.Enum:
		return subject(name) + " is not one of " + list(k.Want)
	case *kind.Const:
		return subject(name) + " is not " + list([]any{k.Want})
	case *kind.Pattern:
		return subject(name) + fmt.Sprintf(" does not match %q", k.Want)
	case *kind.Format:
		return subject(name) + " is no " + k.Want
	case *kind.ContentEncoding, *kind.ContentMediaType, *kind.PropertyNames, *kind.Not:
		return subject(name) + " is not what the schema wants"
	}
	return subject(name) + ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
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
