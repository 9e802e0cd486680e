package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path"

	"github.com/vow-os/vow/kit/schema"
	"github.com/vow-os/vow/svc-node/profile"
)

// slapConfigurationSchema is slapos.cookbook:slapconfiguration.jsonschema: parameters are checked with the release's own
// schema before anything is deployed with them.
func slapConfigurationSchema() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:slapconfiguration.jsonschema",
		Summary: "Gives the instance's parameters to other sections once they are valid by the release's JSON schema, whose serialisation says how they travel.",
		Options: []Option{
			{Name: "jsonschema", Default: "software.cfg.json in the software release", Text: "Path of the release's description; the schemas it names are read beside it, in the release or the partition."},
			{Name: "validate-parameters", Default: "all", Text: "What is checked: all, main (the instance's own), shared (those of shared instances) or none."},
			{Name: "set-default", Default: "none", Text: "Whose absent parameters get the default of their schema: all, main, shared or none."},
			{Name: "unstringify", Default: "none", Text: "Whose parameters may give integers as text: all, main, shared or none."},
			{Name: "configuration.*", Text: "Default of a parameter, used when the parameter is absent or empty."},
			connectionAccepted,
		},
		Provides: append(append([]Option(nil), configurationProvided...),
			Option{Name: "valid-shared-instance-list, invalid-shared-instance-list", Text: "With shared checked, instead of slave-instance-list: reference, parameters, and of invalid ones errors."}),
		Signature: 1,
		Provide:   provideChecked,
	}
}

// selection reads an option that chooses between the instance's own parameters and those of shared instances.
func selection(in *Init, option, otherwise string) (main, shared bool, err error) {
	text := in.Text(option)
	if text == "" {
		text = otherwise
	}
	switch text {
	case "none":
	case "main":
		main = true
	case "shared":
		shared = true
	case "all":
		main, shared = true, true
	default:
		err = in.Error(option, "cannot use %q: all, main, shared and none are", text)
	}
	return main, shared, err
}

func provideChecked(_ context.Context, in *Init) (profile.Provided, error) {
	var none profile.Provided
	checkMain, checkShared, err := selection(in, "validate-parameters", "all")
	if err != nil {
		return none, err
	}
	var own, hosted schema.Options
	if own.Defaults, hosted.Defaults, err = selection(in, "set-default", "none"); err != nil {
		return none, err
	}
	if own.Integers, hosted.Integers, err = selection(in, "unstringify", "none"); err != nil {
		return none, err
	}
	name := in.Text("jsonschema")
	if name == "" {
		name = path.Join(in.Environment.BuildoutDirectory, "software_release", "software.cfg.json")
	}
	description, err := schema.Open(name, in.Files.Read)
	if err != nil {
		return none, in.Error("jsonschema", "%w", err)
	}
	description.Suggest = profile.Suggest
	kind := in.Environment.SoftwareType
	serialisation, err := description.Serialisation(kind)
	if err != nil {
		return none, in.Error("jsonschema", "%w", err)
	}
	given, err := parametersOf(in, serialisation)
	if err != nil {
		return none, err
	}
	if checkMain {
		if given, err = checked(description, kind, false, given, own); err != nil {
			return none, in.Error("recipe", "%w", err)
		}
	}
	provided := describe(in, given)
	if checkShared {
		delete(provided.Options, hostedOption)
		list := sharedInstances(in.Environment.Parameters[SharedInstances])
		valid, invalid, err := checkHosted(description, kind, list, hosted)
		if err != nil {
			return none, in.Error("recipe", "%w", err)
		}
		provided.Options["valid-shared-instance-list"] = profile.Structured(valid)
		provided.Options["invalid-shared-instance-list"] = profile.Structured(invalid)
	}
	return provided, nil
}

func checked(d *schema.Description, kind string, shared bool, given map[string]any, options schema.Options) (map[string]any, error) {
	s, err := d.Schema(kind, shared)
	if err != nil {
		return nil, err
	}
	return s.Check(given, options)
}

// checkHosted sorts shared instances into those whose parameters are valid and those whose are not: one user's mistake
// must not keep another's instance from being served.
func checkHosted(d *schema.Description, kind string, list []any, options schema.Options) (valid, invalid []any, err error) {
	valid, invalid = []any{}, []any{}
	if len(list) == 0 {
		return valid, invalid, nil
	}
	s, err := d.Schema(kind, true)
	if err != nil {
		return nil, nil, err
	}
	for _, element := range list {
		instance, _ := element.(map[string]any)
		given := maps.Clone(instance)
		reference := given["slave_reference"]
		for _, name := range []string{"slave_reference", "slave_title", "slap_software_type", "timestamp"} {
			delete(given, name) // what it is, beside what it was given
		}
		if text, ok := given["_"].(string); ok {
			given = nil
			if err := json.Unmarshal([]byte(text), &given); err != nil {
				invalid = append(invalid, map[string]any{"reference": reference, "parameters": map[string]any{}, "errors": []any{"cannot read the parameters as a JSON object"}})
				continue
			}
		}
		done, err := s.Check(given, options)
		if err == nil {
			valid = append(valid, map[string]any{"reference": reference, "parameters": done})
			continue
		}
		problems := []any{err.Error()}
		if wrong := (*schema.Invalid)(nil); errors.As(err, &wrong) {
			problems = problems[:0]
			for _, problem := range wrong.Problems {
				problems = append(problems, problem.String())
			}
		}
		invalid = append(invalid, map[string]any{"reference": reference, "parameters": given, "errors": problems})
	}
	return valid, invalid, nil
}
