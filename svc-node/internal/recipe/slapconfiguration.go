package recipe

import (
	"context"
	"encoding/json"
	"path"
	"strings"

	"github.com/vow-os/vow/kit/schema"
	"github.com/vow-os/vow/svc-node/profile"
)

var connectionAccepted = Option{
	Name: "url, computer, partition, key, cert, server-url, computer-id, partition-id, key-file, cert-file, storage-home",
	Text: "Accepted: the node's own connection is used.",
}

var configurationProvided = []Option{
	{Name: "configuration.NAME", Text: "A parameter of the instance."},
	{Name: "configuration", Text: "All parameters, defaults included, as data for templates."},
	{Name: "slap-software-type", Text: "The software type."},
	{Name: "slap-software-release-url, slap-computer-id, slap-computer-partition-id", Text: "What the instance is and where."},
	{Name: "instance-title, root-instance-title, root-instance-short-title, instance-guid, instance-state", Text: "Titles, identity and requested state."},
	{Name: "ipv4, ipv6, tap", Text: "Lists of the partition's addresses and interfaces."},
	{Name: "ipv4-random, ipv6-random, tap-name", Text: "The first of each."},
	{Name: "slave-instance-list", Text: "The shared instances the partition hosts, a list."},
	{Name: "storage-dict, tap-network-information-dict", Text: "Always empty."},
	{Name: "NAME-NAME", Text: "What the partition's file .slapos-resource holds, its nested names joined, with - for _."},
}

// slapConfiguration is slapos.cookbook:slapconfiguration and its serialised sibling: what the master says of
// this instance.
func slapConfiguration(serialised bool) *Recipe {
	r := &Recipe{
		Name:    "slapos.cookbook:slapconfiguration",
		Summary: "Gives the instance's parameters, software type and addresses to other sections.",
		Options: []Option{
			{Name: "configuration.*", Text: "Default of a parameter, used when the parameter is absent or empty."},
			connectionAccepted,
		},
		Provides:  configurationProvided,
		Signature: 1,
	}
	if serialised {
		r.Name += ".serialised"
		r.Summary += " Parameters are a JSON object under \"_\"."
	} else {
		r.Aliases = []string{"slapos.cookbook:slapparameter"}
	}
	r.Provide = func(_ context.Context, in *Init) (profile.Provided, error) {
		serialisation := "xml"
		if serialised {
			serialisation = "json-in-xml"
		}
		given, err := parametersOf(in, serialisation)
		if err != nil {
			return profile.Provided{}, err
		}
		return describe(in, given), nil
	}
	return r
}

// parametersOf collects the instance's parameters, without its shared instances.
func parametersOf(in *Init, serialisation string) (map[string]any, error) {
	given, err := schema.Given(in.Environment.Parameters, serialisation)
	if err != nil {
		return nil, in.Error("recipe", "cannot read the instance's parameters: %w", err)
	}
	delete(given, SharedInstances)
	return given, nil
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
		all[name] = value
		options["configuration."+name] = profile.Structured(value)
	}
	options["configuration"] = profile.Structured(all)
	for name, text := range map[string]string{
		"slap-software-type": env.SoftwareType, "slap-software-release-url": env.SoftwareReleaseURL,
		"slap-computer-id": env.ComputerID, "slap-computer-partition-id": env.PartitionID,
		"instance-title": env.InstanceTitle, "root-instance-title": env.RootInstanceTitle, "instance-state": env.RequestedState,
		"root-instance-short-title": env.RootInstanceTitle, "instance-guid": env.InstanceGUID,
	} {
		options[name] = profile.Text(text)
	}
	for name, list := range map[string][]string{"ipv4": env.IPv4, "ipv6": env.IPv6} {
		data := make([]any, len(list))
		for i := range list {
			data[i] = list[i]
		}
		options[name] = profile.Structured(data)
		if len(list) > 0 {
			options[name+"-random"] = profile.Text(list[0])
		}
	}
	options["tap"] = profile.Structured([]any{}) // a partition has none
	for _, name := range []string{"storage-dict", "tap-network-information-dict"} {
		options[name] = profile.Structured(map[string]any{})
	}
	if _, ok := in.Get(hostedOption); !ok {
		options[hostedOption] = profile.Structured(sharedInstances(env.Parameters[SharedInstances]))
	}
	for name, value := range resources(in) {
		if _, ok := options[name]; !ok {
			options[name] = value
		}
	}
	return profile.Provided{Options: options}
}

// SharedInstances is the parameter that lists the shared instances of a partition, as JSON: objects of their parameters with slave_reference, slave_title,
// slap_software_type and timestamp (µs).
const SharedInstances = "slave_instance_list"

// hostedOption is the option that lists them.
const hostedOption = "slave-instance-list"

// sharedInstances reads the list of shared instances a partition hosts.
func sharedInstances(text string) []any {
	var list []any
	if json.Unmarshal([]byte(text), &list) != nil || list == nil {
		return []any{}
	}
	return list
}

// resourceFile is where the format of a computer leaves what a partition has: addresses, interfaces.
const resourceFile = ".slapos-resource"

// resources reads it, if it is there: {"tun": {"ipv4": …}} becomes tun-ipv4.
func resources(in *Init) map[string]profile.Value {
	all := map[string]profile.Value{}
	content, err := in.Files.Read(path.Join(in.Environment.BuildoutDirectory, resourceFile))
	if err != nil {
		return all
	}
	var data map[string]any
	if json.Unmarshal(content, &data) != nil {
		return all
	}
	var flatten func(prefix string, object map[string]any)
	flatten = func(prefix string, object map[string]any) {
		for name, value := range object {
			name = prefix + strings.ReplaceAll(name, "_", "-")
			if inner, ok := value.(map[string]any); ok {
				flatten(name+"-", inner)
				continue
			}
			all[name] = profile.Structured(value)
		}
	}
	flatten("", data)
	return all
}
