package jinja

import (
	"fmt"
	"strings"
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

// Render renders a template. Errors name its file and line.
func Render(t Template) (text string, err error) {
	defer func() {
		// A panic is a mistake of ours, and must not end the agent for the sake of one template.
		if p := recover(); p != nil {
			text, err = "", fmt.Errorf("cannot render %s: the template engine failed: %v", t.Name, p)
		}
	}()
	if len(t.Source) > MaxSourceBytes {
		return "", fmt.Errorf("cannot render %s: it has %d bytes, at most %d", t.Name, len(t.Source), MaxSourceBytes)
	}
	tree, err := parse(t.Source)
	if err != nil {
		return "", fmt.Errorf("cannot render %s: %w", t.Name, err)
	}
	m := &machine{template: t, budget: &budget{}, out: &strings.Builder{}, globals: &scope{names: globals()}}
	m.context = m.globals.inner()
	for name, v := range t.Context {
		m.context.names[name] = imported(v)
	}
	if err := m.whole(tree, m.context.inner()); err != nil {
		text := err.Error()
		if len(text) > 500 {
			text = text[:500] + "…"
		}
		return "", fmt.Errorf("cannot render %s: %s", t.Name, text)
	}
	return m.out.String(), nil
}
