package declared

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// MaxSize is how many bytes a file may have.
const MaxSize = 8 << 20

// serialised is the parameter that holds structured parameters as JSON (docs/rules.md; SlapOS's convention).
const serialised = "_"

// File is the whole of it.
type File struct {
	Software []Software `yaml:"software,omitempty"`
	Trees    []Tree     `yaml:"trees,omitempty"`
}

// Software is a release and the computers that are to have it.
type Software struct {
	Release   string   `yaml:"release"`
	Computers []string `yaml:"computers,flow"`
	// State is available (also when empty) or destroyed.
	State string `yaml:"state,omitempty"`

	line int
}

// Tree is the root of an instance tree.
type Tree struct {
	Title   string `yaml:"title"`
	Release string `yaml:"release,omitempty"`
	Type    string `yaml:"type,omitempty"`
	// State is started, stopped or destroyed; empty = started for a new one, unchanged for one that exists.
	State string `yaml:"state,omitempty"`
	// Computer to put it on; empty = anywhere. One that has a partition stays where it is.
	Computer string `yaml:"computer,omitempty"`
	// Shared is true for a shared instance; Host is the id of the instance that is to host it, empty = any.
	Shared bool   `yaml:"shared,omitempty"`
	Host   string `yaml:"host,omitempty"`
	// RetentionDelay is how long its content is kept after it is destroyed, e.g. 72h or 3d; its first request alone says so.
	RetentionDelay string `yaml:"retention_delay,omitempty"`
	// Parameters are texts; numbers and truth values are taken as written.
	Parameters map[Text]Text `yaml:"parameters,omitempty"`
	// Serialised are structured parameters, sent as JSON under `_`.
	Serialised any `yaml:"serialised,omitempty"`

	line int
}

// Text is a scalar as it is written: `port: 0080` stays 0080.
type Text string

// MarshalYAML quotes what has tabs: as a block of lines it could not be read again.
func (t Text) MarshalYAML() (any, error) {
	if !strings.Contains(string(t), "\t") {
		return string(t), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: string(t)}, nil
}

// UnmarshalYAML takes any scalar but null.
func (t *Text) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return wrong(node.Line, "a parameter is a text; structured ones go below `serialised:`")
	}
	*t = Text(node.Value)
	return nil
}

// UnmarshalYAML keeps the line. A decoder that a type calls does not know unknown keys, so they are looked for here.
func (t *Tree) UnmarshalYAML(node *yaml.Node) error {
	type plain Tree
	if err := keys(node, "title", "release", "type", "state", "computer", "shared", "host", "retention_delay", "parameters", "serialised"); err != nil {
		return err
	}
	t.line = node.Line
	return node.Decode((*plain)(t))
}

// UnmarshalYAML keeps the line.
func (s *Software) UnmarshalYAML(node *yaml.Node) error {
	type plain Software
	if err := keys(node, "release", "computers", "state"); err != nil {
		return err
	}
	s.line = node.Line
	return node.Decode((*plain)(s))
}

// keys refuses those that are not known.
func keys(node *yaml.Node, known ...string) error {
	if node.Kind != yaml.MappingNode {
		return wrong(node.Line, "want keys and values: %s", strings.Join(known, ", "))
	}
	var unknown yaml.TypeError
	for i := 0; i < len(node.Content); i += 2 {
		key, ok := node.Content[i], false
		for _, k := range known {
			ok = ok || key.Value == k
		}
		if !ok {
			unknown.Errors = append(unknown.Errors, fmt.Sprintf("line %d: %q is not known here; want one of %s", key.Line, key.Value, strings.Join(known, ", ")))
		}
	}
	if len(unknown.Errors) > 0 {
		return &unknown
	}
	return nil
}

// wrong is one mistake. The decoder gathers errors of this type, and goes on.
func wrong(line int, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: "+format, append([]any{line}, args...)...)}}
}

// maxMistakes bounds how many mistakes of a file are told at once.
const maxMistakes = 20

// mistakes is the error of a file: all that is wrong, since whoever mends one wants to see the next.
func mistakes(name string, all []string) error {
	switch n := len(all); {
	case n == 0:
		return nil
	case n == 1:
		return fmt.Errorf("cannot read %s: %s", name, all[0])
	case n > maxMistakes:
		all = append(all[:maxMistakes:maxMistakes], fmt.Sprintf("and %d more", n-maxMistakes))
	}
	return fmt.Errorf("cannot read %s:\n  %s", name, strings.Join(all, "\n  "))
}

// Read reads a file. name is what mistakes are told with; releases that are paths are meant from dir, an absolute directory.
func Read(data []byte, name, dir string) (*File, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("cannot read %s: it has %d bytes, and may have %d", name, len(data), MaxSize)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var f File
	err := decoder.Decode(&f)
	if many := new(yaml.TypeError); errors.As(err, &many) {
		return nil, mistakes(name, many.Errors)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s: want one document; what follows the first `---` would be forgotten", name)
	}
	if err := mistakes(name, f.check(dir)); err != nil {
		return nil, err
	}
	return &f, nil
}

// check finds mistakes, and makes URLs of paths.
func (f *File) check(dir string) (wrong []string) {
	say := func(line int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("line %d: "+format, append([]any{line}, args...)...))
	}
	pairs := map[string]int{}
	for i := range f.Software {
		s := &f.Software[i]
		if s.Release == "" || len(s.Computers) == 0 {
			say(s.line, "a software release wants `release:` and `computers:`")
			continue
		}
		if _, err := SoftwareState(s.State); err != nil {
			say(s.line, "%v", err)
		}
		s.Release = location(s.Release, dir)
		for _, c := range s.Computers {
			pair := c + " " + s.Release
			if pairs[pair] > 0 {
				say(s.line, "%s is named for computer %s in line %d already", s.Release, c, pairs[pair])
			}
			pairs[pair] = s.line
		}
	}
	titles := map[string]int{}
	for i := range f.Trees {
		t := &f.Trees[i]
		if err := t.check(dir); err != nil {
			say(t.line, "%v", err)
		}
		if t.Title != "" && titles[t.Title] > 0 {
			say(t.line, "tree %q is in line %d already", t.Title, titles[t.Title])
		}
		titles[t.Title] = t.line
	}
	return wrong
}

func (t *Tree) check(dir string) error {
	if t.Title == "" {
		return errors.New("a tree wants a `title:`")
	}
	state, err := InstanceState(t.State)
	if err != nil {
		return fmt.Errorf("tree %q: %w", t.Title, err)
	}
	if t.Release == "" && state != typev1.RequestedState_REQUESTED_STATE_DESTROYED {
		return fmt.Errorf("tree %q wants a `release:`", t.Title)
	}
	if t.Host != "" && !t.Shared {
		return fmt.Errorf("tree %q has a `host:` and is not `shared: true`", t.Title)
	}
	if _, err := t.retention(); err != nil {
		return fmt.Errorf("tree %q: %w", t.Title, err)
	}
	if _, both := t.Parameters[serialised]; both && t.Serialised != nil {
		return fmt.Errorf("tree %q has `serialised:` and the parameter %q, which are the same", t.Title, serialised)
	}
	if _, err := t.parameters(); err != nil {
		return fmt.Errorf("tree %q: %w", t.Title, err)
	}
	if t.Release != "" {
		t.Release = location(t.Release, dir)
	}
	return nil
}

// parameters as they are requested: an empty one is none.
func (t *Tree) parameters() (map[string]string, error) {
	all := map[string]string{}
	for key, value := range t.Parameters {
		if value != "" {
			all[string(key)] = string(value)
		}
	}
	if t.Serialised != nil {
		text, err := json.Marshal(t.Serialised)
		if err != nil {
			return nil, fmt.Errorf("cannot write `serialised:` as JSON: %w", err)
		}
		all[serialised] = string(text)
	}
	return all, nil
}

// retention delay; 0 = none. At most 10 years, as svc-master takes it.
func (t *Tree) retention() (time.Duration, error) {
	text := t.RetentionDelay
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 16); err == nil {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d < 0 || d > 3650*24*time.Hour {
		return 0, fmt.Errorf("retention_delay %q: want 72h or 3d, at most 3650d", text)
	}
	return d, nil
}

// scheme is how a URL begins.
var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)

// location makes a file: URL of a path.
func location(release, dir string) string {
	if scheme.MatchString(release) {
		return release
	}
	if !filepath.IsAbs(release) {
		release = filepath.Join(dir, release)
	}
	return (&url.URL{Scheme: "file", Path: filepath.Clean(release)}).String()
}

// InstanceState reads the word for a requested state; empty = unspecified.
func InstanceState(word string) (typev1.RequestedState, error) {
	if word == "" {
		return typev1.RequestedState_REQUESTED_STATE_UNSPECIFIED, nil
	}
	if n, ok := typev1.RequestedState_value["REQUESTED_STATE_"+strings.ToUpper(word)]; ok && n > 0 {
		return typev1.RequestedState(n), nil
	}
	return 0, fmt.Errorf("state %q: want started, stopped or destroyed", word)
}

// SoftwareState reads the word for what is wanted of a release; empty = available.
func SoftwareState(word string) (masterv1.SoftwareState, error) {
	switch word {
	case "", "available":
		return masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE, nil
	case "destroyed":
		return masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED, nil
	default:
		return 0, fmt.Errorf("state %q: want available or destroyed", word)
	}
}
