package declared

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Export writes what is requested as a file that Read takes: roots that are not being destroyed by title, and the software that is to be available, by release.
func Export(now Current) ([]byte, error) {
	f := File{}
	computers := map[string][]string{}
	for _, r := range now.Software {
		if r.GetRequested() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE {
			computers[r.GetSoftwareRelease()] = append(computers[r.GetSoftwareRelease()], r.GetComputer())
		}
	}
	for _, release := range slices.Sorted(maps.Keys(computers)) {
		slices.Sort(computers[release])
		f.Software = append(f.Software, Software{Release: release, Computers: slices.Compact(computers[release])})
	}
	for _, title := range slices.Sorted(maps.Keys(now.Roots)) {
		if root := now.Roots[title]; root.GetState() != typev1.RequestedState_REQUESTED_STATE_DESTROYED {
			f.Trees = append(f.Trees, written(root))
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(f); err != nil {
		return nil, fmt.Errorf("cannot write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// written is a root as a file says it.
func written(i *masterv1.Instance) Tree {
	t := Tree{
		Title: i.GetTitle(), Release: i.GetSoftwareRelease(), State: stateWord(i.GetState()), Computer: i.GetRequestedComputer(),
		Shared: i.GetShared(), Host: i.GetSla().GetHostId(),
	}
	if kind := i.GetSoftwareType(); kind != "default" {
		t.Type = kind
	}
	if d := i.GetRetentionDelay().AsDuration(); d > 0 {
		t.RetentionDelay = d.String()
		if d%(24*time.Hour) == 0 {
			t.RetentionDelay = fmt.Sprintf("%dd", d/(24*time.Hour))
		}
	}
	for name, value := range i.GetParameters() {
		if name == serialised {
			var structured any
			if json.Unmarshal([]byte(value), &structured) == nil && exact(value, structured) {
				t.Serialised = structured
				continue
			}
		}
		if t.Parameters == nil {
			t.Parameters = map[Text]Text{}
		}
		t.Parameters[Text(name)] = Text(value)
	}
	return t
}

// exact tells whether JSON survives the way through YAML; large numbers do not, and are kept as the text they are.
func exact(text string, structured any) bool {
	again, err := json.Marshal(structured)
	if err != nil || structured == nil {
		return false
	}
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) != nil {
		return false
	}
	return len(again) == compact.Len() && sameJSON(text, string(again))
}
