package schema

import (
	"fmt"
	"reflect"
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

// conversion is a text that was read as an integer.
type conversion struct {
	object map[string]any
	key    string
	text   string
}

// readIntegers converts every text that any schema within, valid or not, would have as an integer: which of them are
// valid is known only with the conversions done.
func (s *Schema) readIntegers(all map[string]any) []conversion {
	var done []conversion
	var walk func(schema *jsonschema.Schema, value any, depth int)
	walk = func(schema *jsonschema.Schema, value any, depth int) {
		if schema == nil || depth > MaxDepth/4 {
			return
		}
		if object, ok := value.(map[string]any); ok {
			for _, key := range sortedKeys(schema.Properties) {
				text, isText := object[key].(string)
				if n, err := strconv.Atoi(strings.TrimSpace(text)); isText && err == nil && wantsInteger(schema.Properties[key]) {
					done = append(done, conversion{object, key, text})
					object[key] = float64(n)
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

// branches lists all schemas beside a schema, whether they hold or not.
func branches(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.If, s.Then, s.Else}
	all = append(append(append(all, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, key := range sortedKeys(s.DependentSchemas) {
		all = append(all, s.DependentSchemas[key])
	}
	return all
}

// wantsInteger says whether integers, and not texts, are what a schema wants.
func wantsInteger(s *jsonschema.Schema) bool {
	integer := false
	for _, kind := range typesOf(s) {
		if kind == "string" {
			return false
		}
		integer = integer || kind == "integer"
	}
	return integer
}

// takeBack undoes conversions that no schema on a valid way asks for.
func (s *Schema) takeBack(all map[string]any, done []conversion) {
	asked := map[place]bool{}
	var walk func(schema *jsonschema.Schema, value any, depth int)
	walk = func(schema *jsonschema.Schema, value any, depth int) {
		if depth > MaxDepth {
			return
		}
		if object, ok := value.(map[string]any); ok {
			for key, property := range schema.Properties {
				if _, given := object[key]; given && wantsInteger(property) {
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
