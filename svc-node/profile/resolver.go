package profile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Provide asks a part's recipe for the options it sets itself: a password read from disk, the connection
// parameters of a requested instance. It is called once per part, after the part's own references are
// resolved, and may look further sections up through s, which initialises them first.
// An *Unavailable (wrapped or not) as the error makes the part, and what refers to it, wait.
type Provide func(s *Scope) (Provided, error)

// Provided is what a recipe tells of a part.
type Provided struct {
	// Options are set over the part's own.
	Options map[string]Value
	// Volatile options do not count when deciding whether the part changed: secrets, timestamps.
	Volatile []string
	// Waiting, if not empty, says why the part itself cannot be installed yet, although Options may be used.
	Waiting string
}

// Part is one section with a recipe, resolved.
type Part struct {
	Name   string
	Recipe string
	// Position is where the section is first written.
	Position Position
	Options  map[string]Value
	// Volatile names the options that do not count as a change.
	Volatile map[string]bool
	// Waiting is nil when the part can be installed; else it says what it waits for.
	Waiting *Unavailable
	raw     map[string]Option
}

// PositionOf says where an option is written; ok is false when the profile does not write it.
func (p *Part) PositionOf(option string) (at Position, ok bool) {
	o, ok := p.raw[option]
	return o.Position, ok && o.Position.Line > 0
}

// Resolved is a document with all its parts resolved, in the order in which to install them.
type Resolved struct {
	Parts []Part
}

// Resolve resolves the parts of a document and everything they refer to. Provide may be nil: recipes then
// provide nothing. Errors are *Error, or what provide returned.
func Resolve(doc *Document, env Environment, provide Provide) (*Resolved, error) {
	r := &resolver{
		doc: doc, provide: provide, layers: environmentLayers{defaults: env.defaults(), forced: env.forced()},
		scopes: map[string]*Scope{}, overrides: map[string]map[string]Value{},
	}
	buildout, err := r.section("buildout", Position{File: doc.Name, Line: 1})
	if err != nil {
		return nil, err
	}
	parts, err := buildout.Require("parts")
	if err != nil {
		return nil, err
	}
	at := buildout.Position("parts")
	for _, name := range strings.Fields(parts.String()) {
		part, err := r.section(name, at)
		if err != nil {
			var e *Error
			if errors.As(err, &e) && e.Section == "" {
				e.Section, e.Option = "buildout", "parts"
			}
			return nil, err
		}
		if _, ok := part.values["recipe"]; !ok {
			return nil, &Error{Position: part.position, Section: name, Option: "recipe", Problem: "cannot install this part: it has no recipe"}
		}
	}
	resolved := &Resolved{Parts: make([]Part, 0, len(r.order))}
	for _, s := range r.order {
		resolved.Parts = append(resolved.Parts, Part{
			Name: s.name, Recipe: s.recipe, Position: s.position, Options: s.values, Volatile: s.volatile,
			Waiting: s.waiting, raw: s.raw,
		})
	}
	return resolved, nil
}

type resolver struct {
	doc       *Document
	provide   Provide
	layers    environmentLayers
	scopes    map[string]*Scope
	order     []*Scope
	overrides map[string]map[string]Value
	depth     int
	bytes     int
}

// Scope is a section while and after it is resolved.
type Scope struct {
	resolver *resolver
	name     string
	recipe   string
	position Position
	raw      map[string]Option // the document's own as a rule: read-only
	values   map[string]Value
	volatile map[string]bool // nil while there is none
	busy     []string        // options being resolved, outermost first
	waiting  *Unavailable
	ready    bool
}

// section initialises a section, or returns it when that was done or is under way.
func (r *resolver) section(name string, from Position) (*Scope, error) {
	if s, ok := r.scopes[name]; ok {
		return s, nil
	}
	section, ok := r.doc.sections[name]
	if !ok && !r.layers.has(name) {
		return nil, &Error{Position: from, Problem: fmt.Sprintf("cannot find a section [%s]", name), Suggestion: Suggest(name, r.names())}
	}
	if err := r.enter(from, name); err != nil {
		return nil, err
	}
	defer r.leave()
	var raw map[string]Option
	position, base := Position{}, ""
	if ok {
		var err error
		if raw, err = r.expand(section, nil); err != nil {
			return nil, err
		}
		position, base = section.Position, section.Base
	}
	raw = r.layers.lay(name, raw)
	s := &Scope{resolver: r, name: name, position: position, raw: raw, values: make(map[string]Value, len(raw)+4)}
	s.values["_buildout_section_name_"] = Text(name)
	if base != "" {
		s.values["_profile_base_location_"] = Text(base)
	}
	maps.Copy(s.values, r.overrides[name])
	r.scopes[name] = s
	if err := s.initialise(); err != nil {
		delete(r.scopes, name) // whoever may go on without it may not take it for resolved
		return nil, err
	}
	s.ready = true
	return s, nil
}

// initialise resolves the options, then asks the recipe. An option whose value is not available yet makes
// the part wait, but the other options are resolved all the same, so that everything they need gets asked for
// in the same run.
func (s *Scope) initialise() error {
	var some [16]string // enough for most sections, without an allocation
	options := slices.AppendSeq(some[:0], maps.Keys(s.raw))
	slices.Sort(options)
	for _, option := range options {
		if _, err := s.get(option); err != nil {
			unavailable := asUnavailable(err)
			if unavailable == nil {
				return err
			}
			if s.waiting == nil {
				s.waiting = unavailable
			}
		}
	}
	if dependencies, ok := s.values["<part-dependencies>"]; ok {
		for _, name := range strings.Fields(dependencies.String()) {
			if _, err := s.resolver.section(name, s.Position("<part-dependencies>")); err != nil {
				return s.place(err, "<part-dependencies>")
			}
		}
	}
	recipe, ok := s.values["recipe"]
	if !ok {
		return nil
	}
	if s.recipe = strings.TrimSpace(recipe.String()); s.recipe == "" {
		return nil // "recipe =" makes a part that only refers to others
	}
	if s.waiting == nil && s.resolver.provide != nil {
		if err := s.ask(); err != nil {
			return err
		}
	}
	s.resolver.order = append(s.resolver.order, s)
	return nil
}

// ask lets the recipe provide options.
func (s *Scope) ask() error {
	provided, err := s.resolver.provide(s)
	if err != nil {
		if s.waiting = asUnavailable(err); s.waiting == nil {
			return err
		}
		return nil
	}
	for name, value := range provided.Options {
		if err := s.resolver.spend(len(value.text), s, name); err != nil {
			return err
		}
		s.values[name] = value
	}
	for _, name := range provided.Volatile {
		if s.volatile == nil {
			s.volatile = map[string]bool{}
		}
		s.volatile[name] = true
	}
	if provided.Waiting != "" {
		s.waiting = &Unavailable{Section: s.name, Reason: provided.Waiting}
	}
	return nil
}

// expand merges the macros a section names with "<=", in order, under the section's own options. Without a macro these are
// the document's own, which nobody may write to.
func (r *resolver) expand(section *Section, stack []string) (map[string]Option, error) {
	names, ok := section.options["<"]
	if !ok {
		return section.options, nil
	}
	if slices.Contains(stack, section.Name) {
		return nil, &Error{
			Position: names.Position, Section: section.Name, Option: "<",
			Problem: "cannot use macros in a circle: " + strings.Join(append(stack, section.Name), " → "),
		}
	}
	if len(stack) >= MaxDepth {
		return nil, &Error{Position: names.Position, Section: section.Name, Option: "<", Problem: fmt.Sprintf("cannot nest macros deeper than %d", MaxDepth)}
	}
	merged := map[string]Option{}
	for _, name := range strings.Fields(names.value()) {
		if err := r.spend(len(section.options), nil, ""); err != nil {
			return nil, err
		}
		macro, ok := r.doc.sections[name]
		if !ok && r.layers.has(name) {
			mergeOptions(merged, r.layers.lay(name, nil))
			continue
		}
		if !ok {
			return nil, &Error{
				Position: names.Position, Section: section.Name, Option: "<",
				Problem: fmt.Sprintf("cannot find the section [%s] to take options from", name), Suggestion: Suggest(name, r.doc.SectionNames()),
			}
		}
		options, err := r.expand(macro, append(stack[:len(stack):len(stack)], section.Name))
		if err != nil {
			return nil, err
		}
		options = r.layers.lay(name, options)
		mergeOptions(merged, options)
	}
	mergeOptions(merged, section.options)
	delete(merged, "<")
	return merged, nil
}

func (r *resolver) enter(at Position, name string) error {
	if r.depth++; r.depth > MaxDepth {
		return &Error{Position: at, Section: name, Problem: fmt.Sprintf("cannot follow references deeper than %d", MaxDepth)}
	}
	return nil
}

func (r *resolver) leave() { r.depth-- }

// spend counts resolved bytes against MaxValueBytes and MaxResolvedBytes.
func (r *resolver) spend(n int, s *Scope, option string) error {
	r.bytes += n + 1
	if n <= MaxValueBytes && r.bytes <= MaxResolvedBytes {
		return nil
	}
	e := &Error{
		Position: Position{File: r.doc.Name, Line: 1},
		Problem:  fmt.Sprintf("cannot resolve more than %d bytes in one option or %d in one profile", MaxValueBytes, MaxResolvedBytes),
	}
	if s != nil {
		e.Position, e.Section, e.Option = s.Position(option), s.name, option
	}
	return e
}

// names lists every section a reference may name.
func (r *resolver) names() []string {
	names := r.doc.SectionNames()
	for name := range r.layers.defaults {
		names = append(names, name)
	}
	for name := range r.layers.forced {
		names = append(names, name)
	}
	sort.Strings(names)
	return slices.Compact(names)
}
