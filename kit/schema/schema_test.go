package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
)

// release is a release in memory.
type release map[string]string

func (r release) read(name string) ([]byte, error) {
	if text, ok := r[name]; ok {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("cannot read %s: %w", name, fs.ErrNotExist)
}

func (r release) schema(t *testing.T, kind string, shared bool) *Schema {
	t.Helper()
	d, err := Open("/r/software.cfg.json", r.read)
	if err != nil {
		t.Fatal(err)
	}
	d.Suggest = func(unknown string, known []string) string { // whoever is one letter longer
		for _, name := range known {
			if len(name) == len(unknown)+1 {
				return name
			}
		}
		return ""
	}
	s, err := d.Schema(kind, shared)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

const described = `{"name": "Test", "serialisation": "json-in-xml", "software-type": {
  "default": {"title": "Default", "request": "instance-input.json", "index": 0},
  "default/shared": {"software-type": "default", "shared": true, "request": "shared-input.json"},
  "plain": {"request": "vehicle.json", "serialisation": "xml"}}}`

func tested() release {
	return release{
		"/r/software.cfg.json": described,
		"/r/instance-input.json": `{"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["number"], "additionalProperties": false, "properties": {
  "letter": {"type": "string", "enum": ["a", "b"], "default": "a"}, "number": {"type": "integer", "minimum": 1},
  "secret": {"type": "string", "pattern": "^[a-z]+$"}, "odd": {"type": "string", "pattern": "^(?!x)"},
  "deep": {"type": "object", "default": {}, "properties": {"inner": {"$ref": "thing.json"}}},
  "list": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer", "default": 80}}}}}}`,
		"/r/thing.json":        `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer", "default": 42}`,
		"/r/shared-input.json": `{"type": "object", "oneOf": [{"properties": {"kind": {"const": 1}, "thing": {"$ref": "thing.json"}}, "required": ["kind"]}, {"properties": {"kind": {"const": 2}, "thing": {"type": "string", "default": "hello"}}, "required": ["kind"]}]}`,
		"/r/vehicle.json": `{"$schema": "https://json-schema.org/draft/2020-12/schema", "oneOf": [
  {"type": "object", "required": ["wheels", "motor"], "properties": {"wheels": {"type": "integer"}, "motor": {}, "wipers": {"default": true}}},
  {"oneOf": [
    {"type": "object", "required": ["wheels"], "properties": {"wheels": {}, "bell": {"default": true}, "lights": {"type": "integer"}}},
    {"type": "object", "required": ["motor"], "properties": {"motor": {}, "propeller": {"default": true}}}]}]}`,
	}
}

func TestParametersAreCheckedAndCompleted(t *testing.T) {
	r := tested()
	for _, c := range []struct {
		kind        string
		shared      bool
		given, want string // want is a result, or the end of an error
		options     Options
	}{
		{"default", false, `{"number": 1}`, `{"number": 1}`, Options{}},
		{"default", false, `{"number": 1, "list": [{}, {"port": 1}]}`, `{"number": 1, "letter": "a", "deep": {"inner": 42}, "list": [{"port": 80}, {"port": 1}]}`, Options{Defaults: true}},
		{"RootSoftwareInstance", false, `{"number": 1, "deep": {"inner": 3}}`, `{"number": 1, "letter": "a", "deep": {"inner": 3}}`, Options{Defaults: true}},
		{"default", false, `{"number": "1"}`, "number: got string, want integer (/r/instance-input.json)", Options{}},
		{"default", false, `{"number": "1"}`, `{"number": 1}`, Options{Integers: true}},
		{"default", false, `{"number": "x"}`, "number: got string, want integer (/r/instance-input.json)", Options{Integers: true}},
		{"default", false, `{}`, "number is required (/r/instance-input.json)", Options{}},
		{"default", false, `{"number": 1, "leter": "a"}`, `"leter" is not a parameter; did you mean "letter"? (/r/instance-input.json)`, Options{}},
		{"default", false, `{"number": 1, "letter": "z"}`, "letter is not one of a, b (/r/instance-input.json)", Options{}},
		{"default", false, `{"number": 0}`, "number: want at least 1 (/r/instance-input.json)", Options{}},
		{"default", false, `{"number": 1, "secret": "H4RDT0GUESS"}`, `secret does not match "^[a-z]+$" (/r/instance-input.json)`, Options{}},
		{"default", false, `{"number": 1, "odd": "xyz"}`, `{"number": 1, "odd": "xyz"}`, Options{}},
		{"default", false, `{"number": 1, "deep": {"inner": "x"}}`, "deep.inner: got string, want integer (/r/thing.json)", Options{}},
		{"default", true, `{"kind": 1}`, `{"kind": 1, "thing": 42}`, Options{Defaults: true}},
		{"default", true, `{"kind": 2}`, `{"kind": 2, "thing": "hello"}`, Options{Defaults: true}},
		{"default", true, `{"kind": 1, "thing": "7"}`, `{"kind": 1, "thing": 7}`, Options{Integers: true}},
		{"default", true, `{"kind": 2, "thing": "7"}`, `{"kind": 2, "thing": "7"}`, Options{Integers: true}},
		{"plain", false, `{"wheels": 4, "motor": 1}`, `{"wheels": 4, "motor": 1, "wipers": true}`, Options{Defaults: true}},
		{"plain", false, `{"wheels": "4", "motor": 1, "lights": "4"}`, `{"wheels": 4, "motor": 1, "lights": "4"}`, Options{Integers: true}},
		{"plain", false, `{"wheels": 2, "lights": "4"}`, `{"wheels": 2, "lights": 4, "bell": true}`, Options{Integers: true, Defaults: true}},
	} {
		given := object(t, c.given)
		got, err := r.schema(t, c.kind, c.shared).Check(given, c.options)
		if strings.HasPrefix(c.want, "{") {
			if want := object(t, c.want); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: got %v, %v, want %v", c.kind, c.given, got, err, want)
			}
		} else if err == nil || !strings.HasSuffix(err.Error(), c.want) || strings.Contains(err.Error(), "H4RD") {
			t.Errorf("%s %s: got %v, want %s", c.kind, c.given, err, c.want)
		}
		if !reflect.DeepEqual(given, object(t, c.given)) {
			t.Errorf("%s: the given parameters became %v", c.given, given)
		}
	}
}

func TestWhatIsWrongWithAReleaseIsTold(t *testing.T) {
	r := tested()
	d, err := Open("file:///r/software.cfg.json", r.read)
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"default": "json-in-xml", "plain": "xml"} {
		if got, err := d.Serialisation(kind); got != want || err != nil {
			t.Errorf("%s travels as %s, %v", kind, got, err)
		}
	}
	if _, err := d.Schema("deflaut", false); err == nil || err.Error() != `cannot find the software type "deflaut" in /r/software.cfg.json; it has default, plain` {
		t.Errorf("got %v", err)
	}
	if _, err := d.Schema("plain", true); err == nil || !strings.HasPrefix(err.Error(), `cannot find the shared software type "plain"`) {
		t.Errorf("got %v", err)
	}
	for text, want := range map[string]string{
		`{"$ref": "https://example.com/x.json"}`:          "only files of the release are read",
		`{"$ref": "../../etc/passwd"}`:                    "cannot read /etc/passwd: file does not exist",
		`{"$ref": "#/definitions/none"}`:                  "none",
		`{"type": "nonsense"}`:                            "cannot use the schema /r/vehicle.json",
		`{"properties": {"a": {"$ref": "missing.json"}}}`: "cannot read /r/missing.json",
		`nonsense`: "cannot use the schema /r/vehicle.json",
		`{"$schema": "http://example.com/own#", "type": []}`: "only files of the release are read",
	} {
		r["/r/vehicle.json"] = text
		if _, err := d.Schema("plain", false); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "file://") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	r["/r/vehicle.json"] = `{"properties": {"a": {"type": "string", "default": 1}}}`
	s := r.schema(t, "plain", false)
	if _, err := s.Check(nil, Options{Defaults: true}); err == nil || err.Error() != "cannot set the defaults of /r/vehicle.json: cannot use the default of a: it is not valid itself" {
		t.Errorf("got %v", err)
	}
	r["/r/vehicle.json"] = `{"allOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"a": {"default": 2}}}]}`
	if _, err := r.schema(t, "plain", false).Check(nil, Options{Defaults: true}); err == nil || !strings.Contains(err.Error(), "several are declared") {
		t.Errorf("got %v", err)
	}
	r["/r/vehicle.json"] = `{"$ref": "#"}`
	if _, err := r.schema(t, "plain", false).Check(nil, Options{Defaults: true, Integers: true}); err == nil {
		t.Error("a schema that refers to itself is not told")
	}
	if _, err := Open("/r/none.json", r.read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorTellsAFewProblems(t *testing.T) {
	r := tested()
	var properties []string
	given := map[string]any{}
	for i := range 9 {
		properties = append(properties, fmt.Sprintf(`"p%d": {"type": "integer"}`, i))
		given[fmt.Sprintf("p%d", i)] = "x"
	}
	r["/r/vehicle.json"] = `{"properties": {` + strings.Join(properties, ",") + `}}`
	_, err := r.schema(t, "plain", false).Check(given, Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "; and 4 more problems") {
		t.Errorf("got %v", err)
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"properties": {"a": {"type": "integer", "default": 1}}}`, `{"b": "1"}`)
	f.Add(`{"oneOf": [{"required": ["a"], "properties": {"a": {"const": 1}}}, {"$ref": "#/$defs/x"}], "$defs": {"x": {"type": "object"}}}`, `{"a": 1}`)
	f.Add(`{"if": {"properties": {"a": {"const": "x"}}}, "then": {"properties": {"c": {"default": []}}}, "items": {"$ref": "#"}}`, `{"a": "x"}`)
	f.Fuzz(func(t *testing.T, text, parameters string) {
		if len(text) > 4096 || len(parameters) > 4096 {
			return
		}
		var given map[string]any
		if json.Unmarshal([]byte(parameters), &given) != nil {
			return
		}
		d, err := Open("/r/software.cfg.json", release{"/r/software.cfg.json": described, "/r/vehicle.json": text}.read)
		if err != nil {
			t.Fatal(err)
		}
		s, err := d.Schema("plain", false)
		if err != nil {
			return
		}
		before := fmt.Sprint(given)
		done, err := s.Check(given, Options{Defaults: true, Integers: true})
		if fmt.Sprint(given) != before {
			t.Errorf("the given parameters became %v", given)
		}
		if err != nil {
			return
		}
		if again, err := s.Check(done, Options{Defaults: true, Integers: true}); err == nil && !reflect.DeepEqual(again, done) {
			t.Logf("%v became %v", done, again)
		}
	})
}
