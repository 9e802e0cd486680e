package recipe

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// publishEarly is slapos.cookbook:publish-early: values made once, kept in what the instance publishes.
func publishEarly() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:publish-early",
		Summary: "Publishes generated values before anything is requested, and takes them from there ever after.",
		Options: []Option{
			{Name: "-init", Text: "Lines NAME SECTION:OPTION: publish that option as NAME; if NAME is published already, the option gets that value before its recipe is asked."},
			{Name: "*", Text: "A value for NAME; its line in -init is then ignored."},
		},
		Provides:  []Option{{Name: "NAME", Text: "The value, for each line of -init."}},
		Signature: 1,
		Provide:   provideEarly,
	}
}

func provideEarly(ctx context.Context, in *Init) (profile.Provided, error) {
	provided := profile.Provided{Options: map[string]profile.Value{}}
	published, err := in.World.Published(ctx, "")
	if err != nil {
		return provided, in.Error("-init", "cannot read what is published: %w", err)
	}
	known := map[string]any{}
	for name, text := range published {
		known[name] = text
	}
	if text, ok := published["_"]; ok {
		if data, err := decodeObject(text); err == nil {
			maps.Copy(known, data)
		}
	}
	type source struct{ name, section, option string }
	var sources []source
	for _, line := range strings.Split(in.Text("-init"), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 || !strings.Contains(fields[1], ":") {
			return provided, in.Error("-init", "cannot read %q: lines are NAME SECTION:OPTION", line)
		}
		if in.Text(fields[0]) != "" {
			continue
		}
		section, option, _ := strings.Cut(fields[1], ":")
		if value, ok := known[fields[0]]; ok {
			if err := in.Override(section, option, profile.Structured(value), "-init"); err != nil {
				return provided, err
			}
		}
		sources = append(sources, source{fields[0], section, option})
	}
	fresh := false
	for _, s := range sources {
		value, err := in.Lookup(s.section, s.option, "-init")
		if err != nil {
			return provided, err
		}
		provided.Options[s.name] = value
		provided.Volatile = append(provided.Volatile, s.name)
		if was, ok := known[s.name]; !ok || profile.Structured(was).String() != value.String() {
			known[s.name] = value.Data()
			fresh = true
		}
	}
	if fresh && !in.Peek {
		delete(known, "_")
		text, err := json.Marshal(known)
		if err != nil {
			return provided, in.Error("-init", "cannot write the parameters as JSON: %w", err)
		}
		if err := in.Report.PublishNow(ctx, map[string]string{"_": string(text)}); err != nil {
			return provided, in.Error("-init", "cannot publish: %w", err)
		}
	}
	return provided, nil
}
