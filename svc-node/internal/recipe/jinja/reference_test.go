package jinja

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// Templates render here as they do in Python: testdata/reference.py made the expectations with Python's Jinja2.
func TestTemplatesRenderAsPythonsJinja2(t *testing.T) {
	var reference struct {
		Library map[string]string
		Cases   []struct{ Template, Text, Error string }
	}
	load(t, "testdata/reference.json", &reference)
	if len(reference.Cases) < 150 {
		t.Fatalf("only %d templates", len(reference.Cases))
	}
	for _, c := range reference.Cases {
		context := map[string]any{}
		load(t, "testdata/context.json", &context)
		context["json_module"] = jsonModule()
		got, err := Render(Template{Name: "t", Source: c.Template, Context: context, Read: func(name string) (string, error) {
			if source, ok := reference.Library[name]; ok {
				return source, nil
			}
			return "", fmt.Errorf("cannot read %s", name)
		}})
		if c.Error != "" {
			if err == nil {
				t.Errorf("%s\n got %q, Python says %s", c.Template, got, c.Error)
			}
			continue
		}
		if err != nil || got != c.Text {
			t.Errorf("%s\n got %q, %v\nwant %q", c.Template, got, err, c.Text)
		}
	}
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}
