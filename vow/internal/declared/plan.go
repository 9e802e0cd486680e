package declared

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
)

// Current is what is requested now, of what a file names.
type Current struct {
	// Roots by title; a title that is not there is requested by nobody.
	Roots map[string]*masterv1.Instance
	// Software of the computers, in any order.
	Software []*masterv1.Software
}

// Action is what applying does.
type Action string

// Actions.
const (
	Create  Action = "create"
	Alter   Action = "change"
	Destroy Action = "destroy"
	Keep    Action = "keep"
)

// Change is what one thing of a file needs.
type Change struct {
	// Kind is `software` or `tree`.
	Kind string `json:"kind"`
	// Name is the title of a tree, or `RELEASE on COMPUTER`.
	Name   string `json:"name"`
	Action Action `json:"action"`
	// Fields that differ, by name.
	Fields []Field `json:"fields,omitempty"`
	// Notes are differences that applying does not mend, and why.
	Notes []string `json:"notes,omitempty"`

	// Supply or Request carries it out; both nil with Keep.
	Supply  *masterv1.SupplySoftwareRequest  `json:"-"`
	Request *masterv1.RequestInstanceRequest `json:"-"`
}

// Field is a difference; empty = not there.
type Field struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Plan says what applying a file does, in the order in which it is done: releases first, since an instance is put only where its release is.
func (f *File) Plan(now Current) []Change {
	var changes []Change
	for i := range f.Software {
		for _, computer := range f.Software[i].Computers {
			changes = append(changes, f.Software[i].change(computer, now))
		}
	}
	for i := range f.Trees {
		changes = append(changes, f.Trees[i].change(now.Roots[f.Trees[i].Title]))
	}
	return changes
}

func (s *Software) change(computer string, now Current) Change {
	state, _ := SoftwareState(s.State) // checked by Read
	c := Change{Kind: "software", Name: telemetry.Redacted(s.Release) + " on " + computer, Action: Keep}
	var old *masterv1.Software
	for _, r := range now.Software {
		if r.GetComputer() == computer && r.GetSoftwareRelease() == s.Release {
			old = r
		}
	}
	gone := state == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED
	switch {
	case old == nil && gone, old != nil && old.GetRequested() == state:
		return c
	case gone:
		c.Action = Destroy
	case old == nil:
		c.Action = Create
	default:
		c.Action, c.Fields = Alter, []Field{{Name: "state", Old: "destroyed", New: "available"}}
	}
	c.Supply = &masterv1.SupplySoftwareRequest{SoftwareRelease: s.Release, Computer: computer, State: state}
	return c
}

func (t *Tree) change(old *masterv1.Instance) Change {
	state, _ := InstanceState(t.State) // these three are checked by Read
	parameters, _ := t.parameters()
	retention, _ := t.retention()
	c := Change{Kind: "tree", Name: t.Title, Action: Keep}
	destroyed := typev1.RequestedState_REQUESTED_STATE_DESTROYED
	switch {
	case state == destroyed && (old == nil || old.GetState() == destroyed):
		return c
	case state == destroyed:
		c.Action = Destroy
		c.Request = &masterv1.RequestInstanceRequest{Title: t.Title, SoftwareRelease: old.GetSoftwareRelease(), State: state}
		return c
	case old.GetState() == destroyed:
		c.Notes = append(c.Notes, "it is being destroyed: apply again when it is gone")
		return c
	}
	c.Request = &masterv1.RequestInstanceRequest{
		Title: t.Title, SoftwareRelease: t.Release, SoftwareType: t.Type, Parameters: parameters, State: state, Computer: t.Computer, Shared: t.Shared,
	}
	if t.Host != "" {
		c.Request.Sla = &masterv1.Sla{HostId: t.Host}
	}
	if retention > 0 {
		c.Request.RetentionDelay = durationpb.New(retention)
	}
	if old == nil {
		c.Action = Create
		old = &masterv1.Instance{SoftwareType: "-"}
	} else {
		if old.GetShared() != t.Shared {
			c.Notes = append(c.Notes, "one is a shared instance and the other is not: destroy it first")
		}
		if old.GetHostId() != "" && t.Host != "" && t.Host != old.GetHostId() {
			c.Notes = append(c.Notes, "it stays with its host "+old.GetHostId())
		}
		if old.GetRetentionDelay().AsDuration() != retention {
			c.Notes = append(c.Notes, fmt.Sprintf("retention_delay stays %s, as its first request said", old.GetRetentionDelay().AsDuration()))
		}
		if old.GetPartition() != "" && t.Computer != "" && t.Computer != old.GetComputer() {
			c.Notes = append(c.Notes, "it stays on "+old.GetComputer()+", where its data is")
		}
	}
	c.field("release", telemetry.Redacted(old.GetSoftwareRelease()), telemetry.Redacted(t.Release), old.GetSoftwareRelease() != t.Release)
	kind := cmp.Or(t.Type, "default")
	c.field("type", strings.Trim(old.GetSoftwareType(), "-"), kind, old.GetSoftwareType() != kind)
	if state != typev1.RequestedState_REQUESTED_STATE_UNSPECIFIED {
		c.field("state", stateWord(old.GetState()), t.State, old.GetState() != state)
	}
	c.field("computer", old.GetRequestedComputer(), t.Computer, old.GetPartition() == "" && old.GetHostId() == "" && old.GetRequestedComputer() != t.Computer)
	c.field("host", old.GetSla().GetHostId(), t.Host, old.GetHostId() == "" && old.GetSla().GetHostId() != t.Host)
	c.parameters(old.GetParameters(), parameters)
	if len(c.Fields) > 0 && c.Action == Keep {
		c.Action = Alter
	}
	if c.Action == Keep {
		c.Request = nil
	} else if old.GetParameters()[serialised] != "" && sameJSON(old.GetParameters()[serialised], parameters[serialised]) {
		parameters[serialised] = old.GetParameters()[serialised] // another order of keys is no change
	}
	return c
}

func (c *Change) field(name, old, now string, differs bool) {
	if differs {
		c.Fields = append(c.Fields, Field{Name: name, Old: old, New: now})
	}
}

// secret names are those whose values are not shown: a plan is printed in the log of whatever applies the file.
var secret = regexp.MustCompile(`(?i)passw|secret|token|private|credential|api_?key`)

// parameters tells those that differ, structured ones leaf by leaf.
func (c *Change) parameters(old, now map[string]string) {
	was, is := leaves(old), leaves(now)
	names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		a, b := was[name], is[name]
		if a == b {
			continue
		}
		if secret.MatchString(name) {
			a, b = hidden(a), hidden(b)
		}
		c.field("parameters."+name, a, b, true)
	}
}

func hidden(value string) string {
	if value == "" {
		return ""
	}
	return "(hidden)"
}

// leaves of parameters by their path: JSON under `_` is taken apart.
func leaves(parameters map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range parameters {
		if name == serialised {
			if v, err := structured(value); err == nil {
				leaf(all, name, v)
				continue
			}
		}
		all[name] = value
	}
	return all
}

func leaf(all map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			leaf(all, path+"."+key, value)
		}
		if len(v) == 0 {
			all[path] = "{}"
		}
	case []any:
		for i, value := range v {
			leaf(all, path+"["+strconv.Itoa(i)+"]", value)
		}
		if len(v) == 0 {
			all[path] = "[]"
		}
	default:
		text, _ := json.Marshal(v) // it was JSON
		all[path] = string(text)
	}
}

// sameJSON tells whether two texts are the same JSON: the order of keys is nothing, each digit of a number is something.
func sameJSON(a, b string) bool {
	x, errX := structured(a)
	y, errY := structured(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func structured(text string) (v any, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&v)
	return v, err
}

func stateWord(s typev1.RequestedState) string {
	if s == typev1.RequestedState_REQUESTED_STATE_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "REQUESTED_STATE_"))
}
