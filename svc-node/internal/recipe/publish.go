package recipe

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

var publishOptions = []Option{
	{Name: "*", Text: "A connection parameter. Names that start with - or _ are not published."},
	{Name: "-slave-reference", Text: "Reference of a shared instance that this one hosts, as slave-instance-list has it: the parameters are published for that one."},
	{Name: "-extends", Text: "Sections whose parameters are published too; the section's own win."},
}

// publish is slapos.cookbook:publish.
func publish() *Recipe {
	return &Recipe{
		Name:      "slapos.cookbook:publish",
		Aliases:   []string{"slapos.cookbook:publishurl", "slapos.cookbook:publishsection"},
		Summary:   "Publishes connection parameters, each under its name.",
		Options:   publishOptions,
		Signature: 1,
		Provide:   provideExtended,
		Install:   publishPlain,
		Update:    publishPlain,
	}
}

// publishSerialised is slapos.cookbook:publish.serialised.
func publishSerialised() *Recipe {
	return &Recipe{
		Name:      "slapos.cookbook:publish.serialised",
		Summary:   "Publishes connection parameters as one JSON object under \"_\".",
		Options:   publishOptions,
		Signature: 1,
		Provide:   provideExtended,
		Install:   publishJSON,
		Update:    publishJSON,
	}
}

// extendedPrefix marks options taken from the sections in -extends. A control character keeps it apart from
// anything a profile can write.
const extendedPrefix = "\x01"

// provideExtended takes the parameters of the sections in -extends, which also initialises them first.
func provideExtended(_ context.Context, in *Init) (profile.Provided, error) {
	provided := profile.Provided{Options: map[string]profile.Value{}}
	for _, name := range strings.Fields(in.Text("-extends")) {
		section, err := in.Section(name, "-extends")
		if err != nil {
			return provided, err
		}
		for _, option := range section.Options() {
			if isPublished(option) {
				v, err := in.Lookup(name, option, "-extends")
				if err != nil {
					return provided, err
				}
				provided.Options[extendedPrefix+option] = v
			}
		}
		if waiting := section.Waiting(); waiting != nil {
			provided.Waiting = waiting.Error()
		}
	}
	return provided, nil
}

func isPublished(option string) bool {
	return option != "recipe" && !strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "_") &&
		!strings.HasPrefix(option, "<") && !strings.HasPrefix(option, extendedPrefix)
}

// parameters collects what to publish.
func parameters(w *Work) map[string]profile.Value {
	all := map[string]profile.Value{}
	for option, value := range w.Part.Options {
		if name, ok := strings.CutPrefix(option, extendedPrefix); ok {
			all[name] = value
		}
	}
	for option, value := range w.Part.Options {
		if isPublished(option) {
			all[option] = value
		}
	}
	return all
}

// sharedReference is the shared instance that is published for; empty = none.
func sharedReference(w *Work) string {
	return strings.TrimSpace(w.Part.Options["-slave-reference"].String())
}

func publishPlain(_ context.Context, w *Work) error {
	texts := map[string]string{}
	for name, value := range parameters(w) {
		texts[name] = value.String()
	}
	w.Report.Publish(sharedReference(w), texts)
	return nil
}

func publishJSON(_ context.Context, w *Work) error {
	data := map[string]any{}
	for name, value := range parameters(w) {
		data[name] = value.Data()
	}
	text, err := json.Marshal(data)
	if err != nil {
		return w.Error("", "cannot write the parameters as JSON: %w", err)
	}
	w.Report.Publish(sharedReference(w), map[string]string{"_": string(text)})
	return nil
}
