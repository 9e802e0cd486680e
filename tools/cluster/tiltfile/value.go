package tiltfile

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// Values as Tilt unpacks them (internal/tiltfile/value). Each refuses what is of another type, and None where Tilt does.

// triggerMode is its own type, so that no string passes for it.
type triggerMode string

func (t triggerMode) String() string        { return string(t) }
func (t triggerMode) Type() string          { return "TriggerMode" }
func (t triggerMode) Freeze()               {}
func (t triggerMode) Truth() starlark.Bool  { return true }
func (t triggerMode) Hash() (uint32, error) { return starlark.String(t).Hash() }

func (t *triggerMode) Unpack(v starlark.Value) error {
	mode, ok := v.(triggerMode)
	if !ok {
		return fmt.Errorf("got %s, want TriggerMode", v.Type())
	}
	*t = mode
	return nil
}

// resourceName is a segment of a path of Tilt's API.
type resourceName string

func (n *resourceName) Unpack(v starlark.Value) error {
	s, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("value should be convertible to string, but is type %s", v.Type())
	}
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/%") {
		return fmt.Errorf("invalid value %q: may not be empty, '.' or '..', or contain '/' or '%%'", s)
	}
	*n = resourceName(s)
	return nil
}

// elements are those of a list or tuple; anything else is one.
func elements(v starlark.Value) []starlark.Value {
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return nil
	case *starlark.List, starlark.Tuple:
		return slices.Collect(starlark.Elements(v.(starlark.Iterable)))
	}
	return []starlark.Value{v}
}

// texts is one string or several.
type texts []string

func (t *texts) Unpack(v starlark.Value) error {
	for _, e := range elements(v) {
		s, ok := starlark.AsString(e)
		if !ok {
			return fmt.Errorf("want a string or a sequence of strings, found %s", e.Type())
		}
		*t = append(*t, s)
	}
	return nil
}

// textList is several strings, and never one alone: its letters would not be meant.
type textList []string

func (t *textList) Unpack(v starlark.Value) error {
	switch v.(type) {
	case *starlark.List, starlark.Tuple:
		return (*texts)(t).Unpack(v)
	}
	return fmt.Errorf("got %s, want a sequence of strings", v.Type())
}

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)

// labels are values of Kubernetes labels, without a prefix.
type labels []string

func (l *labels) Unpack(v starlark.Value) error {
	if err := (*texts)(l).Unpack(v); err != nil {
		return err
	}
	for _, s := range *l {
		if !labelPattern.MatchString(s) {
			return fmt.Errorf("invalid label %q", s)
		}
	}
	return nil
}

// pairs is a dict of strings; sorted KEY=value.
type pairs []string

func (p *pairs) Unpack(v starlark.Value) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("expected dict, got %s", v.Type())
	}
	for _, item := range d.Items() {
		key, isKey := starlark.AsString(item[0])
		value, isValue := starlark.AsString(item[1])
		if !isKey || !isValue {
			return fmt.Errorf("expected string to string, got %s to %s", item[0].Type(), item[1].Type())
		}
		*p = append(*p, key+"="+value)
	}
	slices.Sort(*p)
	return nil
}

// words is a command: a string is a line of a shell, a list its arguments.
type words []string

func (w *words) Unpack(v starlark.Value) error {
	switch v := v.(type) {
	case starlark.NoneType:
		return nil
	case starlark.String:
		if v != "" {
			*w = []string{"sh", "-c", string(v)}
		}
		return nil
	}
	return (*textList)(w).Unpack(v)
}

// span is a duration, "10m".
type span time.Duration

func (s *span) Unpack(v starlark.Value) error {
	text, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("got %s, want a duration as a string", v.Type())
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("is negative")
	}
	*s = span(d)
	return err
}

var versionPattern = regexp.MustCompile(`^>=\d+\.\d+\.\d+$`)

// imagePattern is a name of an image without a tag, as distribution/reference has it.
var imagePattern = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$`)

// action is what a probe asks.
type action struct {
	starlark.Value
	url, address string
	command      []string
}

func (a *action) Unpack(v starlark.Value) error {
	switch v := v.(type) {
	case starlark.NoneType:
		return nil
	case action:
		*a = v
		return nil
	}
	return fmt.Errorf("got %s, want an action of a probe", v.Type())
}

func (a action) given() bool { return a.url != "" || a.address != "" || a.command != nil }

type probeValue struct {
	starlark.Value
	Probe
}

func (p *probeValue) Unpack(v starlark.Value) error {
	switch v := v.(type) {
	case starlark.NoneType:
		return nil
	case probeValue:
		*p = v
		return nil
	}
	return fmt.Errorf("got %s, want Probe", v.Type())
}

type linkValue struct {
	starlark.Value
	url string
}

// linkList is one link or several, each a link() or a string.
type linkList []string

func (l *linkList) Unpack(v starlark.Value) error {
	for _, e := range elements(v) {
		switch e := e.(type) {
		case linkValue:
			*l = append(*l, e.url)
		case starlark.String:
			*l = append(*l, string(e))
		default:
			return fmt.Errorf("want a string, a link, or a sequence of these; found %s", e.Type())
		}
	}
	return nil
}

type forwardValue struct {
	starlark.Value
	local int
}

type forwardList []int

func (f *forwardList) Unpack(v starlark.Value) error {
	for _, e := range elements(v) {
		switch e := e.(type) {
		case forwardValue:
			*f = append(*f, e.local)
		case starlark.Int:
			n, ok := e.Int64()
			if !ok || checkPort(int(n)) != nil {
				return fmt.Errorf("port %v is not in the valid range", e)
			}
			*f = append(*f, int(n))
		default:
			return fmt.Errorf("port_forwards includes %s, which must be an int or a port_forward", e.Type())
		}
	}
	return nil
}

func checkPort(n int) error {
	if n < 1 || n > 65535 {
		return fmt.Errorf("port number out of range: %d", n)
	}
	return nil
}

// within is a path as Tilt reads it: from the folder of the Tiltfile.
func (e *evaluation) within(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(e.directory, path)
}

func (e *evaluation) paths(all []string) []string {
	var some []string
	for _, p := range all {
		some = append(some, e.within(p))
	}
	return some
}

func (e *evaluation) command(w words, environment pairs, directory string) Command {
	if len(w) == 0 {
		return Command{}
	}
	return Command{Arguments: w, Environment: environment, Directory: e.within(directory)}
}
