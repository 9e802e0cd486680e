package conv_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// ours is object.property, snake_case inside, below our prefix.
var ours = regexp.MustCompile(`^vow(\.[a-z][a-z0-9_]*){1,3}$`)

func TestNamesFollowTheConventionsAndHaveAMeaning(t *testing.T) {
	all := conv.All()
	seen := map[string]bool{}
	declare := func(kind, name, meaning string) {
		if seen[kind+name] {
			t.Errorf("%s %s is declared twice", kind, name)
		}
		seen[kind+name] = true
		if !strings.HasSuffix(meaning, ".") || len(meaning) < 10 {
			t.Errorf("%s %s means %q", kind, name, meaning)
		}
		if strings.HasPrefix(name, "vow") && !ours.MatchString(name) {
			t.Errorf("%s %s is not spelled as the others", kind, name)
		}
	}
	for _, a := range all.Attributes {
		declare("attribute", string(a.Key), a.Meaning)
		if !slices.Contains([]string{"string", "int", "double", "boolean"}, a.Type) {
			t.Errorf("attribute %s is of type %q", a.Key, a.Type)
		}
	}
	for _, m := range all.Metrics {
		declare("metric", m.Name, m.Meaning)
		if m.Kind == conv.KindDuration && (m.Unit != "s" || !strings.HasSuffix(m.Name, ".duration") && !strings.HasSuffix(m.Name, ".delay")) {
			t.Errorf("metric %s measures %s", m.Name, m.Unit)
		}
		if m.Kind != conv.KindDuration && !regexp.MustCompile(`^\{[a-z]+\}$`).MatchString(m.Unit) {
			t.Errorf("metric %s counts %s", m.Name, m.Unit)
		}
	}
	for _, e := range all.Events {
		declare("event", e.Name, e.Meaning)
	}
	for _, s := range all.Spans {
		declare("span", s.Name, s.Meaning)
		if strings.ContainsAny(s.Name, "._-/") {
			t.Errorf("span %q is not {verb} {noun}", s.Name)
		}
	}
}

func TestWhatIsReferredToIsDeclaredAndNoMetricHasAnIdForALabel(t *testing.T) {
	all := conv.All()
	declared := func(key attribute.Key) bool {
		return slices.ContainsFunc(all.Attributes, func(a conv.Attribute) bool { return a.Key == key })
	}
	for _, s := range all.Spans {
		for _, key := range s.Attributes {
			if !declared(key) {
				t.Errorf("span %q has %s, which is not declared", s.Name, key)
			}
		}
		if s.Parent != "" && !slices.ContainsFunc(all.Spans, func(p conv.Span) bool {
			return p.Name == s.Parent || p.Name == "step {name}" && strings.HasPrefix(s.Parent, "step ")
		}) {
			t.Errorf("span %q is below %q, which is not declared", s.Name, s.Parent)
		}
	}
	for _, e := range all.Events {
		for _, key := range e.Attributes {
			if !declared(key) {
				t.Errorf("event %s has %s, which is not declared", e.Name, key)
			}
		}
	}
	for _, m := range all.Metrics {
		if len(m.Labels) > 4 {
			t.Errorf("metric %s has more labels than its points are told apart by", m.Name)
		}
		for _, key := range m.Labels {
			at := slices.IndexFunc(all.Attributes, func(a conv.Attribute) bool { return a.Key == key })
			if at < 0 {
				t.Errorf("metric %s has %s, which is not declared", m.Name, key)
				continue
			}
			free := all.Attributes[at].Values == nil
			bounded := key == conv.ErrorType || key == conv.LimitName || key == conv.FeedFollower
			if free && !bounded {
				t.Errorf("metric %s has the label %s, whose values are not bounded", m.Name, key)
			}
		}
	}
}

// TestEveryConstantIsListed reads the source: what is declared but not listed would be missing in the documentation.
func TestEveryConstantIsListed(t *testing.T) {
	all := conv.All()
	listed := map[string]bool{}
	for _, a := range all.Attributes {
		listed[string(a.Key)] = true
		for _, v := range a.Values {
			listed[v] = true
		}
	}
	for _, s := range all.Spans {
		listed[s.Name] = true
	}
	for _, e := range all.Events {
		listed[e.Name] = true
	}
	metrics := 0
	for _, name := range []string{"attribute.go", "span.go", "event.go", "metric.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range decl.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				if name == "metric.go" && decl.Tok == token.VAR {
					metrics++
				}
				if name == "metric.go" || decl.Tok != token.CONST || !value.Names[0].IsExported() || value.Names[0].Name == "Other" {
					continue
				}
				if text, ok := literal(value.Values[0]); ok && !listed[text] {
					t.Errorf("%s = %q is not listed", value.Names[0].Name, text)
				}
			}
		}
	}
	if metrics != len(all.Metrics) {
		t.Errorf("%d metrics are declared, %d are listed", metrics, len(all.Metrics))
	}
}

// literal is the string in "x" and in attribute.Key("x").
func literal(e ast.Expr) (string, bool) {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 {
		e = call.Args[0]
	}
	basic, ok := e.(*ast.BasicLit)
	if !ok {
		return "", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}
