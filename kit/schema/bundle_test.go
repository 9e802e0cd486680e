package schema

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// inRelease reads files by their path from the root.
func inRelease(r release) Read {
	return func(name string) ([]byte, error) { return r.read("/r/" + name) }
}

func TestABundleChecksLikeItsRelease(t *testing.T) {
	files, problems, err := Bundle(inRelease(tested()))
	if err != nil || len(problems) > 0 {
		t.Fatalf("got %v, %v", problems, err)
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	if want := []string{"instance-input.json", "shared-input.json", DescriptionFile, "thing.json", "vehicle.json"}; !reflect.DeepEqual(paths, want) {
		t.Errorf("it has %v, want %v", paths, want)
	}
	again, _, _ := Bundle(inRelease(tested()))
	if Digest(files) != Digest(again) || len(Digest(files)) != 64 {
		t.Error("the same release has another digest")
	}
	again[0].Content = append([]byte(" "), again[0].Content...)
	if Digest(files) == Digest(again) {
		t.Error("another release has the same digest")
	}
	d, err := OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Schema("default", false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Check(object(t, `{"letter": "H4RD", "deep": {"inner": "x"}, "leter": 1}`), Options{})
	wrong := (*Invalid)(nil)
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v", err)
	}
	told := wrong.Pointed()
	for _, want := range []string{
		"/number (required) is required", "/letter (enum) is not one of a, b", "/deep/inner (type): got string, want integer",
		`/leter (additionalProperties) is not a parameter; known are deep, letter, list, number, odd, secret`,
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%q lacks %q", told, want)
		}
	}
	if strings.Contains(told, "H4RD") {
		t.Errorf("a value is told: %s", told)
	}
}

func TestWhatCannotBeUsedOfAReleaseLeavesTheRest(t *testing.T) {
	r := tested()
	r["/r/vehicle.json"] = `{"$ref": "https://example.com/x.json"}`
	files, problems, err := Bundle(inRelease(r))
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0], "plain: cannot use the schema /vehicle.json") {
		t.Errorf("got %v, %v", problems, err)
	}
	d, err := OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Schema("default", false); err != nil {
		t.Errorf("another type: %v", err)
	}
	if files, _, err := Bundle(inRelease(release{})); files != nil || err != nil {
		t.Errorf("a release without schemas: %v, %v", files, err)
	}
	r["/r/thing.json"] = strings.Repeat(" ", MaxBytes)
	if _, _, err := Bundle(inRelease(r)); err == nil {
		t.Error("a release with too much is bundled")
	}
	r = tested()
	r["/r/thing.json"] = strings.Repeat(`{"not":`, MaxNesting+1) + "{}" + strings.Repeat("}", MaxNesting+1)
	if _, problems, err := Bundle(inRelease(r)); err != nil || len(problems) == 0 || !strings.Contains(problems[0], "nested deeper") {
		t.Errorf("got %v, %v", problems, err)
	}
}

func TestParametersThatTravelledAsTextAreReadAsTheSchemaWantsThem(t *testing.T) {
	r := tested()
	r["/r/vehicle.json"] = `{"additionalProperties": false, "properties": {"n": {"type": "number"}, "i": {"type": "integer"}, "b": {"type": "boolean"}, "s": {"type": ["string", "boolean"]}}}`
	s := r.schema(t, "plain", false)
	for given, want := range map[string]string{
		`{"n": "1.5", "i": "7", "b": "True", "s": "true"}`: `{"n": 1.5, "i": 7, "b": true, "s": "true"}`,
		`{"n": "x"}`:   "n: got string, want number",
		`{"i": "1.5"}`: "i: got string, want integer",
		`{"b": "yes"}`: "b: got string, want boolean",
	} {
		got, err := s.Check(object(t, given), Options{Scalars: true})
		if strings.HasPrefix(want, "{") {
			if err != nil || !reflect.DeepEqual(got, object(t, want)) {
				t.Errorf("%s: got %v, %v", given, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", given, err)
		}
	}
}

func TestGivenMergesWhatTravelledAsJSON(t *testing.T) {
	for _, c := range []struct {
		parameters          map[string]string
		serialisation, want string
	}{
		{map[string]string{"_": `{"a": 1, "b": ""}`, "c": "x", "d": ""}, "json-in-xml", `{"a": 1, "c": "x"}`},
		{map[string]string{"_": `{"a": 1}`}, "xml", `{"_": "{\"a\": 1}"}`},
		{map[string]string{"_": ``}, "json-in-xml", `{}`},
		{map[string]string{"_": `[1]`}, "json-in-xml", `its "_" is not a JSON object`},
		{map[string]string{"_": `{"s3cret`}, "json-in-xml", `its "_" is not a JSON object`},
	} {
		got, err := Given(c.parameters, c.serialisation)
		if err != nil {
			if err.Error() != c.want {
				t.Errorf("%v: %v", c.parameters, err)
			}
		} else if cloned, _ := clone(got).(map[string]any); !reflect.DeepEqual(cloned, object(t, c.want)) {
			t.Errorf("%v: got %v", c.parameters, got)
		}
	}
}

func TestAHostileSchemaCostsBoundedWork(t *testing.T) {
	deep := strings.Repeat(`{"c":`, 100) + "1" + strings.Repeat("}", 100)
	for name, text := range map[string]string{
		"both branches hold":  `{"allOf": [{"properties": {"c": {"$ref": "#"}}}, {"properties": {"c": {"$ref": "#"}}}]}`,
		"both branches fail":  `{"type": "object", "anyOf": [{"properties": {"c": {"$ref": "#"}}}, {"properties": {"c": {"$ref": "#"}}}]}`,
		"references in a row": `{"$ref": "#/$defs/d0", "$defs": {` + chain(30) + `}}`,
		"expressions":         `{"properties": {"c": {"patternProperties": {"(a{1,300}){1,3}b": {}}}}, "propertyNames": {"pattern": "(x{900}|y{900})*"}, "allOf": [{"$ref": "#/$defs/d0"}], "$defs": {` + chain(30) + `}}`,
	} {
		r := tested()
		r["/r/vehicle.json"] = text
		s := r.schema(t, "plain", false)
		s.budget.most = MaxWork / 20 // it takes 1.5 s otherwise
		_, err := s.Check(object(t, deep), Options{Scalars: true, Defaults: true})
		if !errors.Is(err, ErrTooCostly) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := s.Check(map[string]any{}, Options{}); err != nil && name != "references in a row" && name != "expressions" {
			t.Errorf("%s: what is cheap is not checked any more: %v", name, err)
		}
	}
}

// chain is schemas each of which refers to the next one twice.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		next := "d" + string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10))
		this := "d" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		if i == 0 {
			this = "d0"
		}
		b.WriteString(`"` + this + `": {"allOf": [{"$ref": "#/$defs/` + next + `"}, {"$ref": "#/$defs/` + next + `"}]}, `)
		if i == n-1 {
			b.WriteString(`"` + next + `": {}`)
		}
	}
	return b.String()
}

func TestASchemaBringsNoMetaSchemaOfItsOwn(t *testing.T) {
	r := tested()
	r["/r/own.json"] = `{"$schema": "http://json-schema.org/draft-07/schema#"}`
	r["/r/vehicle.json"] = `{"$schema": "own.json", "type": "object"}`
	d, err := Open("/r/software.cfg.json", r.read)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Schema("plain", false); err == nil || !strings.Contains(err.Error(), "cannot use the $schema") {
		t.Errorf("got %v", err)
	}
}
