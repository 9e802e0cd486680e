package recipe

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// slapConfiguration is slapos.cookbook:slapconfiguration and its serialised sibling: what the master says of
// this instance.
func slapConfiguration(serialised bool) *Recipe {
	r := &Recipe{
		Name:    "slapos.cookbook:slapconfiguration",
		Summary: "Gives the instance's parameters, software type and addresses to other sections.",
		Options: []Option{
			{Name: "configuration.*", Text: "Default of a parameter, used when the parameter is absent or empty."},
			{Name: "url, computer, partition, key, cert, storage-home", Text: "Accepted: the node's own connection is used."},
		},
		Provides: []Option{
			{Name: "configuration.NAME", Text: "A parameter of the instance."},
			{Name: "configuration", Text: "All parameters, defaults included, as data for templates."},
			{Name: "slap-software-type", Text: "The software type."},
			{Name: "slap-software-release-url, slap-computer-id, slap-computer-partition-id", Text: "What the instance is and where."},
			{Name: "instance-title, root-instance-title, instance-state", Text: "Titles and requested state."},
			{Name: "ipv4, ipv6, tap", Text: "Lists of the partition's addresses and interfaces."},
			{Name: "ipv4-random, ipv6-random, tap-name", Text: "The first of each."},
		},
		Signature: 1,
	}
	if serialised {
		r.Name += ".serialised"
		r.Summary += " Parameters are a JSON object under \"_\"."
		r.Aliases = []string{"slapos.cookbook:slapconfiguration.jsonschema"}
	} else {
		r.Aliases = []string{"slapos.cookbook:slapparameter"}
	}
	r.Provide = func(_ context.Context, in *Init) (profile.Provided, error) {
		given := map[string]any{}
		for name, value := range in.Environment.Parameters {
			given[name] = value
		}
		if text, ok := in.Environment.Parameters["_"]; ok && serialised {
			delete(given, "_")
			data, err := decodeObject(text)
			if err != nil {
				return profile.Provided{}, in.Error("recipe", "cannot read the instance's parameters: %w", err)
			}
			for name, value := range data {
				given[name] = value
			}
		}
		return describe(in, given), nil
	}
	return r
}

// describe turns parameters and environment into options.
func describe(in *Init, given map[string]any) profile.Provided {
	env := in.Environment
	options := map[string]profile.Value{}
	all := map[string]any{}
	for _, option := range in.Options() {
		if name, ok := strings.CutPrefix(option, "configuration."); ok {
			if value, known := in.Get(option); known {
				all[name] = value.Data()
			}
		}
	}
	for name, value := range given {
		// An empty parameter is no parameter: the profile's default stays.
		if value == nil || value == "" {
			continue
		}
		all[name] = value
		options["configuration."+name] = profile.Structured(value)
	}
	options["configuration"] = profile.Structured(all)
	for name, text := range map[string]string{
		"slap-software-type": env.SoftwareType, "slap-software-release-url": env.SoftwareReleaseURL,
		"slap-computer-id": env.ComputerID, "slap-computer-partition-id": env.PartitionID,
		"instance-title": env.InstanceTitle, "root-instance-title": env.RootInstanceTitle, "instance-state": env.RequestedState,
	} {
		options[name] = profile.Text(text)
	}
	lists := map[string][]string{"ipv4": env.IPv4, "ipv6": env.IPv6, "tap": env.Taps}
	first := map[string]string{"ipv4": "ipv4-random", "ipv6": "ipv6-random", "tap": "tap-name"}
	for name, list := range lists {
		data := make([]any, len(list))
		for i := range list {
			data[i] = list[i]
		}
		options[name] = profile.Structured(data)
		if len(list) > 0 {
			options[first[name]] = profile.Text(list[0])
		}
	}
	if _, ok := in.Get("slave-instance-list"); !ok {
		options["slave-instance-list"] = profile.Structured(sharedInstances(env.Parameters["slave_instance_list"]))
	}
	return profile.Provided{Options: options}
}

// sharedInstances reads the list of shared instances a partition hosts.
func sharedInstances(text string) []any {
	var list []any
	if json.Unmarshal([]byte(text), &list) != nil || list == nil {
		return []any{}
	}
	return list
}
