package jinja

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
)

// Template is one rendering to do.
type Template struct {
	// Name is the template's file, for errors.
	Name   string
	Source string
	// Context are the variables. They are not changed: templates get a copy.
	Context map[string]any
	// Read gives the templates this one imports, includes or extends, by the names it uses. Nil: none.
	Read func(name string) (string, error)
}

// Render renders a template. Errors name its file; the engine's own messages say the line.
func Render(t Template) (text string, err error) {
	defer func() {
		// The engine is given templates it was never tested with; a panic is that template's error.
		if p := recover(); p != nil {
			text, err = "", fmt.Errorf("cannot render %s: the template engine failed: %v", t.Name, p)
		}
	}()
	if len(t.Source) > MaxSourceBytes {
		return "", fmt.Errorf("cannot render %s: it has %d bytes, at most %d", t.Name, len(t.Source), MaxSourceBytes)
	}
	if err := checkNesting(t.Source); err != nil {
		return "", fmt.Errorf("cannot render %s: %w", t.Name, err)
	}
	b := &budget{}
	settings := config.New()
	settings.StrictUndefined = true
	settings.KeepTrailingNewline = true
	environment := &exec.Environment{
		Context:           exec.NewContext(globals()),
		Filters:           filters(),
		Tests:             builtins.Tests,
		ControlStructures: structures(b),
		Methods:           methods(),
	}
	loader := &loader{template: t, budget: b}
	compiled, err := exec.NewTemplate(rootName, settings, loader, environment)
	if err != nil {
		return "", fmt.Errorf("cannot render %s: %w", t.Name, shorten(err, t.Source))
	}
	replaceOperators(compiled.Root())
	out := &boundedWriter{}
	if err := compiled.Execute(out, exec.NewContext(copyMap(t.Context))); err != nil {
		return "", fmt.Errorf("cannot render %s: %w", t.Name, shorten(err, t.Source))
	}
	return out.String(), nil
}

// shorten cuts the whole source out of the engine's messages, and keeps the rest readable.
func shorten(err error, source string) error {
	text := strings.ReplaceAll(err.Error(), "failed to parse template '"+source+"': ", "")
	text = strings.ReplaceAll(text, "unable to execute template: ", "")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return errors.New(text)
}

// rootName is what the engine calls the template being rendered; no import can name it.
const rootName = "\x00template"

// loader gives the engine the template and what Template.Read allows.
type loader struct {
	template Template
	budget   *budget
}

// Read implements loaders.Loader.
func (l *loader) Read(name string) (io.Reader, error) {
	if name == rootName {
		return strings.NewReader(adapt(l.template.Source)), nil
	}
	if l.template.Read == nil {
		return nil, fmt.Errorf("cannot read the template %q: none may be imported here", name)
	}
	if l.budget.reads++; l.budget.reads > MaxReads {
		return nil, fmt.Errorf("cannot import more than %d templates", MaxReads)
	}
	source, err := l.template.Read(name)
	if err != nil {
		return nil, err
	}
	if len(source) > MaxSourceBytes {
		return nil, fmt.Errorf("cannot import %q: it has %d bytes, at most %d", name, len(source), MaxSourceBytes)
	}
	if err := checkNesting(source); err != nil {
		return nil, fmt.Errorf("cannot import %q: %w", name, err)
	}
	return strings.NewReader(adapt(source)), nil
}

// Resolve implements loaders.Loader: names are resolved by Template.Read alone.
func (l *loader) Resolve(name string) (string, error) { return name, nil }

// Inherit implements loaders.Loader.
func (l *loader) Inherit(string) (loaders.Loader, error) { return l, nil }

// boundedWriter refuses more than MaxOutputBytes.
type boundedWriter struct{ strings.Builder }

// Write implements io.Writer.
func (w *boundedWriter) Write(p []byte) (int, error) {
	if w.Len()+len(p) > MaxOutputBytes {
		return 0, fmt.Errorf("cannot render more than %d bytes", MaxOutputBytes)
	}
	return w.Builder.Write(p)
}

// WriteString implements io.StringWriter, which the engine prefers.
func (w *boundedWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// copyMap copies a context deeply, since templates can change dictionaries and lists.
func copyMap(m map[string]any) map[string]any {
	out := maps.Clone(m)
	for k, v := range out {
		out[k] = copyAny(v)
	}
	if out == nil {
		out = map[string]any{}
	}
	return out
}

func copyAny(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return copyMap(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copyAny(v[i])
		}
		return &out
	case float64:
		// JSON numbers come as floats; whole ones are printed as Python prints its integers.
		if v == float64(int64(v)) && v < 1<<53 && v > -(1<<53) {
			return int(v)
		}
	}
	return v
}
