package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Limits. The largest public schema, with all it refers to, stays below a tenth of each.
const (
	// MaxFiles bounds the files that one schema refers to.
	MaxFiles = 64
	// MaxDepth bounds how deep a schema is followed into parameters: schemas may refer to themselves.
	MaxDepth = 64
	// MaxProblems bounds the problems that one error tells; a failed oneOf has one for each of its branches.
	MaxProblems = 5
	// MaxBytes bounds the description and all files that it refers to, together.
	MaxBytes = 512 << 10
	// MaxNesting bounds how deep objects and lists of one file are nested.
	MaxNesting = 128
)

// rootSoftwareType is how SlapOS calls the type of an instance that was requested without one.
const (
	rootSoftwareType    = "RootSoftwareInstance"
	defaultSoftwareType = "default"
)

// Read reads a file of the release, by its absolute path.
type Read func(path string) ([]byte, error)

// Description is a release's software.cfg.json.
type Description struct {
	path  string
	read  Read
	types map[string]softwareType
	// serialisation is that of all types that do not say otherwise: xml, json-in-xml, or empty.
	serialisation string
	// Suggest finds the name that was meant; nil = the known ones are listed.
	Suggest func(unknown string, known []string) string
}

// softwareType is one entry of software-type.
type softwareType struct {
	Type          string `json:"software-type"`
	Serialisation string `json:"serialisation"`
	Title         string `json:"title"`
	Request       string `json:"request"`
	Response      string `json:"response"`
	Shared        bool   `json:"shared"`
}

// Open reads a description. The path is absolute; file:// before it is understood.
func Open(name string, read Read) (*Description, error) {
	name = path.Clean(strings.TrimPrefix(name, "file://"))
	content, err := read(name)
	if err != nil {
		return nil, err
	}
	var found struct {
		Serialisation string                  `json:"serialisation"`
		Types         map[string]softwareType `json:"software-type"`
	}
	if len(content) > MaxBytes || nesting(content) > MaxNesting {
		return nil, fmt.Errorf("cannot use %s: it has more than %d bytes, or is nested deeper than %d", name, MaxBytes, MaxNesting)
	}
	if err := json.Unmarshal(content, &found); err != nil {
		return nil, fmt.Errorf("cannot read %s as JSON: %w", name, err)
	}
	return &Description{path: name, read: read, types: found.Types, serialisation: found.Serialisation}, nil
}

// Serialisation tells how parameters of a software type travel: "xml", each on its own, or "json-in-xml".
func (d *Description) Serialisation(kind string) (string, error) {
	entry, _ := d.entry(kind, false)
	says := entry.Serialisation
	if says == "" {
		says = d.serialisation
	}
	switch says {
	case "xml", "json-in-xml":
		return says, nil
	case "":
		return "", fmt.Errorf("cannot tell how parameters are serialised: %s does not say, xml and json-in-xml are known", d.path)
	}
	return "", fmt.Errorf("cannot read parameters serialised as %q, as %s says: xml and json-in-xml are known", says, d.path)
}

// entry finds a software type, or its shared twin.
func (d *Description) entry(kind string, shared bool) (softwareType, bool) {
	candidates := []string{kind}
	if kind == rootSoftwareType || kind == defaultSoftwareType || kind == "" {
		candidates = []string{kind, rootSoftwareType, defaultSoftwareType}
	}
	for _, candidate := range candidates {
		if entry, ok := d.types[candidate]; ok && entry.Shared == shared && (entry.Type == "" || !shared || entry.Type == candidate) {
			return entry, true
		}
		for _, name := range sortedKeys(d.types) {
			if entry := d.types[name]; entry.Type == candidate && entry.Shared == shared {
				return entry, true
			}
		}
	}
	return softwareType{}, false
}

// Options say what a check does besides checking.
type Options struct {
	// Defaults sets what is absent and has a default in the schema.
	Defaults bool
	// Integers takes text that reads as an integer for one where the schema wants one: parameters that travelled as XML.
	Integers bool
	// Scalars does the same for integers, numbers and booleans (true, false, as Python writes them too).
	Scalars bool
}

// texts says whether any text is taken for something else.
func (o Options) texts() bool { return o.Integers || o.Scalars }

// Schema is the compiled schema of one software type. Checks of one schema wait for each other: each has the budget for itself.
type Schema struct {
	compiled *jsonschema.Schema
	file     string
	suggest  func(unknown string, known []string) string
	budget   *budget
}

// Schema compiles the schema of a software type's parameters, or of the shared instances it hosts.
func (d *Description) Schema(kind string, shared bool) (*Schema, error) {
	entry, ok := d.entry(kind, shared)
	if !ok {
		what, known := "software type", []string{}
		if shared {
			what = "shared software type"
		}
		for _, name := range sortedKeys(d.types) {
			if d.types[name].Shared == shared {
				known = append(known, name)
			}
		}
		return nil, fmt.Errorf("cannot find the %s %q in %s; it has %s", what, kind, d.path, strings.Join(known, ", "))
	}
	if entry.Request == "" {
		return nil, fmt.Errorf("cannot check the parameters of %q: %s names no request schema for it", kind, d.path)
	}
	return d.compile(entry.Request)
}

// compile compiles the schema that a description names.
func (d *Description) compile(name string) (compiled *Schema, err error) {
	base := url.URL{Scheme: "file", Path: d.path}
	reference, err := url.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("cannot use %q as a schema in %s: %w", name, d.path, err)
	}
	location := base.ResolveReference(reference).String()
	b := &budget{most: MaxWork}
	defer b.begin()(&err, readable(location))
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(&loader{read: d.read})
	compiler.UseRegexpEngine(b.compileRegexp)
	made, err := compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("cannot use the schema %s: %w", readable(location), compileError(err))
	}
	b.watch(made)
	return &Schema{compiled: made, file: readable(location), suggest: d.Suggest, budget: b}, nil
}

// loader reads schemas by URL: those of files only.
type loader struct {
	read         Read
	files, bytes int
}

// Load implements jsonschema.URLLoader.
func (l *loader) Load(location string) (any, error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "file" {
		return nil, fmt.Errorf("cannot read the schema %s: only files of the release are read", location)
	}
	if l.files++; l.files > MaxFiles {
		return nil, fmt.Errorf("cannot read more than %d files for one schema", MaxFiles)
	}
	content, err := l.read(u.Path)
	if err != nil {
		return nil, err
	}
	if l.bytes += len(content); l.bytes > MaxBytes {
		return nil, fmt.Errorf("cannot read more than %d bytes for one schema", MaxBytes)
	}
	if nesting(content) > MaxNesting {
		return nil, fmt.Errorf("cannot use %s: objects and lists are nested deeper than %d", u.Path, MaxNesting)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err == nil {
		err = knownDrafts(document)
	}
	return document, err
}

// knownDrafts refuses a schema that brings its own meta-schema: nothing would bound the work of validating with that.
func knownDrafts(document any) error {
	switch v := document.(type) {
	case map[string]any:
		if draft, ok := v["$schema"].(string); ok && !strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(draft, "https://"), "http://"), "json-schema.org/") {
			return fmt.Errorf("cannot use the $schema %q: the drafts of json-schema.org are known, and only files of the release are read", draft)
		}
		for _, key := range sortedKeys(v) {
			if err := knownDrafts(v[key]); err != nil {
				return err
			}
		}
	case []any:
		for _, element := range v {
			if err := knownDrafts(element); err != nil {
				return err
			}
		}
	}
	return nil
}

// compileError keeps the cause of an error of the compiler, without its prefix.
func compileError(err error) error {
	if load := (*jsonschema.LoadURLError)(nil); errors.As(err, &load) {
		return load.Err
	}
	return errors.New(readable(err.Error()))
}

// readable writes URLs of files as paths.
func readable(text string) string { return strings.ReplaceAll(text, "file://", "") }

// Check checks parameters and returns them, with what the options ask for. The error is one of *Invalid, or says that the
// schema's own defaults are wrong, or that checking takes more than the budget (ErrTooCostly).
func (s *Schema) Check(parameters map[string]any, options Options) (all map[string]any, err error) {
	defer s.budget.begin()(&err, s.file)
	return s.check(parameters, options)
}

func (s *Schema) check(parameters map[string]any, options Options) (map[string]any, error) {
	all, _ := clone(parameters).(map[string]any)
	if all == nil {
		all = map[string]any{}
	}
	var read []conversion
	if options.texts() {
		read = s.readTexts(all, options)
	}
	if err := s.compiled.Validate(all); err != nil {
		for _, c := range read { // a branch that wants text where another wants an integer
			c.object[c.key] = c.text
		}
		if len(read) == 0 || s.compiled.Validate(all) != nil {
			return nil, s.explain(err)
		}
		read = nil
	}
	if options.texts() {
		s.takeBack(all, read, options)
	}
	if !options.Defaults {
		return all, nil
	}
	d := &defaults{chosen: map[place]any{}, budget: s.budget}
	if err := d.collect(s.compiled, all, 0); err != nil {
		return nil, fmt.Errorf("cannot set the defaults of %s: %w", s.file, err)
	}
	for _, set := range d.found {
		set.object[set.key] = set.value
	}
	if err := s.compiled.Validate(all); err != nil {
		return nil, fmt.Errorf("cannot set the defaults of %s: %w", s.file, s.explain(err))
	}
	return all, nil
}

// clone copies data deeply. Numbers become what the rest of vow decodes them to.
func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			out[key] = clone(element)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	case json.Number:
		if n, err := strconv.ParseFloat(string(v), 64); err == nil {
			return n
		}
		return string(v)
	}
	return value
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// meant helps with a misspelt parameter.
func (s *Schema) meant(name string, known []string) string {
	if s.suggest == nil {
		if len(known) == 0 {
			return ""
		}
		all := make([]any, len(known))
		for i := range known {
			all[i] = known[i]
		}
		return "; known are " + list(all)
	}
	if found := s.suggest(name, known); found != "" {
		return fmt.Sprintf("; did you mean %q?", found)
	}
	return ""
}
