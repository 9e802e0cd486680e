package recipe

import (
	"context"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// switchSoftwareType is slapos.cookbook:switch-softwaretype: the profile of the instance's software type, run as
// part of this one.
func switchSoftwareType() *Recipe {
	run := func(ctx context.Context, w *Work) error {
		path := w.Part.Options[chosenProfile].String()
		return w.Nested(ctx, path)
	}
	return &Recipe{
		Name:    "slapos.cookbook:switch-softwaretype",
		Aliases: []string{"slapos.cookbook:softwaretype"},
		Summary: "Runs the profile of the instance's software type within the same partition.",
		Options: []Option{
			{Name: "TYPE", Text: "SECTION:OPTION that holds the path of the profile of the software type TYPE; or the path itself."},
			{Name: "default", Text: "The same for instances without a type, and for RootSoftwareInstance when it is not listed."},
		},
		Signature: 1,
		Provide:   chooseProfile,
		Install:   run,
		Update:    run,
	}
}

const chosenProfile = "_profile_"

func chooseProfile(_ context.Context, in *Init) (profile.Provided, error) {
	kind := in.Environment.SoftwareType
	if kind == "" {
		kind = "default"
	}
	target := in.Text(kind)
	if target == "" && kind == "RootSoftwareInstance" {
		target = in.Text("default")
	}
	if target == "" {
		var known []string
		for _, option := range in.Options() {
			if option != "recipe" && option != "override" && !strings.HasPrefix(option, "_") && !strings.HasPrefix(option, "<") {
				known = append(known, option)
			}
		}
		return profile.Provided{}, &profile.Error{
			Position: in.Position("recipe"), Section: in.Name(),
			Problem: "cannot find the software type " + kind + "; this release has " + strings.Join(known, ", "), Suggestion: profile.Suggest(kind, known),
		}
	}
	path := profile.Text(target)
	if section, option, ok := strings.Cut(target, ":"); ok && !strings.HasPrefix(target, "/") {
		var err error
		if path, err = in.Lookup(section, option, kind); err != nil {
			return profile.Provided{}, err
		}
	}
	return profile.Provided{Options: map[string]profile.Value{chosenProfile: path}}, nil
}
