package schema

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Of schemas within a schema only those count that hold for the value at hand, and are reached through ones that do: then
// every default and every conversion belongs to a reading of the parameters that is valid as a whole.

// applying lists the schemas that hold for a value beside the schema itself, as references and branches.
func applying(s *jsonschema.Schema, value any) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	holds := func(branch *jsonschema.Schema) bool { return branch != nil && branch.Validate(value) == nil }
	add := func(branches ...*jsonschema.Schema) {
		for _, branch := range branches {
			if holds(branch) {
				out = append(out, branch)
			}
		}
	}
	add(s.Ref, s.RecursiveRef)
	if s.DynamicRef != nil {
		add(s.DynamicRef.Ref)
	}
	add(s.AllOf...)
	add(s.AnyOf...)
	add(s.OneOf...)
	if s.If != nil {
		if holds(s.If) {
			add(s.If, s.Then)
		} else {
			add(s.Else)
		}
	}
	if object, ok := value.(map[string]any); ok {
		for _, key := range sortedKeys(s.DependentSchemas) {
			if _, given := object[key]; given {
				add(s.DependentSchemas[key])
			}
		}
		for _, key := range sortedKeys(s.Dependencies) {
			if branch, ok := s.Dependencies[key].(*jsonschema.Schema); ok {
				if _, given := object[key]; given {
					add(branch)
				}
			}
		}
	}
	return out
}

// within calls visit with each element of a value and the schema for it.
func within(s *jsonschema.Schema, value any, visit func(schema *jsonschema.Schema, element any) error) error {
	each := func(schema *jsonschema.Schema, element any) error {
		if schema == nil {
			return nil
		}
		return visit(schema, element)
	}
	switch v := value.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			known := false
			if schema, ok := s.Properties[key]; ok {
				known = true
				if err := each(schema, v[key]); err != nil {
					return err
				}
			}
			for pattern, schema := range s.PatternProperties {
				if pattern.MatchString(key) {
					known = true
					if err := each(schema, v[key]); err != nil {
						return err
					}
				}
			}
			if schema, ok := s.AdditionalProperties.(*jsonschema.Schema); ok && !known {
				if err := each(schema, v[key]); err != nil {
					return err
				}
			}
		}
	case []any:
		listed, rest := s.PrefixItems, s.Items2020
		switch items := s.Items.(type) {
		case *jsonschema.Schema:
			rest = items
		case []*jsonschema.Schema:
			listed = items
			rest, _ = s.AdditionalItems.(*jsonschema.Schema)
		}
		for i, element := range v {
			schema := rest
			if i < len(listed) {
				schema = listed[i]
			}
			if err := each(schema, element); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is a key of one object.
type place struct {
	object uintptr
	key    string
}

func at(object map[string]any, key string) place {
	return place{reflect.ValueOf(object).Pointer(), key}
}

// defaults collects what is absent and has a default, and changes nothing.
type defaults struct {
	found  []setting
	chosen map[place]any
	budget *budget
}

type setting struct {
	object map[string]any
	key    string
	value  any
}

func (d *defaults) collect(s *jsonschema.Schema, value any, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("cannot follow schemas deeper than %d", MaxDepth)
	}
	d.budget.spend(1)
	if object, ok := value.(map[string]any); ok {
		for _, key := range sortedKeys(s.Properties) {
			if _, given := object[key]; given {
				continue
			}
			property := s.Properties[key]
			declared := defaultOf(property)
			if declared == nil {
				continue
			}
			fresh := clone(*declared)
			if before, ok := d.chosen[at(object, key)]; ok {
				if !reflect.DeepEqual(before, fresh) {
					return fmt.Errorf("cannot choose the default of %s: several are declared", key)
				}
				continue
			}
			if err := property.Validate(fresh); err != nil {
				return fmt.Errorf("cannot use the default of %s: it is not valid itself", key)
			}
			d.chosen[at(object, key)] = clone(fresh)
			d.found = append(d.found, setting{object, key, fresh})
			if err := d.collect(property, fresh, depth+1); err != nil {
				return err
			}
		}
	}
	for _, branch := range applying(s, value) {
		if err := d.collect(branch, value, depth+1); err != nil {
			return err
		}
	}
	return within(s, value, func(schema *jsonschema.Schema, element any) error { return d.collect(schema, element, depth+1) })
}

// defaultOf finds a schema's default, its own or that of what it refers to.
func defaultOf(s *jsonschema.Schema) *any {
	for range MaxDepth {
		if s == nil || s.Default != nil {
			break
		}
		s = s.Ref
	}
	if s == nil {
		return nil
	}
	return s.Default
}

// typesOf finds the types a schema wants, its own or those of what it refers to.
func typesOf(s *jsonschema.Schema) []string {
	for range MaxDepth {
		if s == nil {
			return nil
		}
		if s.Types != nil && !s.Types.IsEmpty() {
			return s.Types.ToStrings()
		}
		s = s.Ref
	}
	return nil
}

// conversion is a text that was read as something else.
type conversion struct {
	object map[string]any
	key    string
	text   string
}

// readTexts converts every text that any schema within, valid or not, would have as something else: which of them are
// valid is known only with the conversions done.
func (s *Schema) readTexts(all map[string]any, options Options) []conversion {
	var done []conversion
	var walk func(schema *jsonschema.Schema, value any, depth int)
	walk = func(schema *jsonschema.Schema, value any, depth int) {
		if schema == nil || depth > MaxDepth/4 {
			return
		}
		s.budget.spend(1)
		if object, ok := value.(map[string]any); ok {
			for _, key := range sortedKeys(schema.Properties) {
				if text, isText := object[key].(string); isText {
					if read, ok := options.read(text, schema.Properties[key]); ok {
						done = append(done, conversion{object, key, text})
						object[key] = read
					}
				}
			}
		}
		for _, branch := range branches(schema) {
			walk(branch, value, depth+1)
		}
		_ = within(schema, value, func(inner *jsonschema.Schema, element any) error {
			walk(inner, element, depth+1)
			return nil
		})
	}
	walk(s.compiled, all, 0)
	return done
}

// read reads a text as what a schema wants, when that is no text.
func (o Options) read(text string, wanted *jsonschema.Schema) (any, bool) {
	text = strings.TrimSpace(text)
	for _, kind := range o.wants(wanted) {
		switch kind {
		case "integer":
			if n, err := strconv.Atoi(text); err == nil {
				return float64(n), true
			}
		case "number":
			if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
				return n, true
			}
		case "boolean":
			if lower := strings.ToLower(text); lower == "true" || lower == "false" {
				return lower == "true", true
			}
		}
	}
	return nil, false
}

// wants are the types that a schema wants and texts are taken for; none when it takes texts as they are.
func (o Options) wants(s *jsonschema.Schema) []string {
	types := typesOf(s)
	if slices.Contains(types, "string") {
		return nil
	}
	return slices.DeleteFunc(types, func(kind string) bool {
		return kind != "integer" && (!o.Scalars || kind != "number" && kind != "boolean")
	})
}

// branches lists all schemas beside a schema, whether they hold or not.
func branches(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.If, s.Then, s.Else}
	all = append(append(append(all, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, key := range sortedKeys(s.DependentSchemas) {
		all = append(all, s.DependentSchemas[key])
	}
	return all
}

// takeBack undoes conversions that no schema on a valid way asks for.
func (s *Schema) takeBack(all map[string]any, done []conversion, options Options) {
	asked := map[place]bool{}
	var walk func(schema *jsonschema.Schema, value any, depth int)
	walk = func(schema *jsonschema.Schema, value any, depth int) {
		if depth > MaxDepth {
			return
		}
		s.budget.spend(1)
		if object, ok := value.(map[string]any); ok {
			for key, property := range schema.Properties {
				if _, given := object[key]; given && len(options.wants(property)) > 0 {
					asked[at(object, key)] = true
				}
			}
		}
		for _, branch := range applying(schema, value) {
			walk(branch, value, depth+1)
		}
		_ = within(schema, value, func(inner *jsonschema.Schema, element any) error {
			walk(inner, element, depth+1)
			return nil
		})
	}
	walk(s.compiled, all, 0)
	for _, c := range done {
		if !asked[at(c.object, c.key)] {
			c.object[c.key] = c.text
		}
	}
}
