package profile

import (
	"maps"
	"strings"
)

// Environment is what a profile is resolved in: the partition, its instance and its parameters. All of it
// comes from the caller; directories are absolute.
type Environment struct {
	// BuildoutDirectory is the partition's directory, ${buildout:directory}.
	BuildoutDirectory string
	// Parameters are the instance's parameters. An empty one is the same as none (docs/rules.md, empty
	// parameter): the profile's default applies.
	Parameters map[string]string
	// SoftwareReleaseURL, SoftwareType, ComputerID, PartitionID, ServerURL and RequestedState fill
	// [slap-connection] and what slapconfiguration tells.
	SoftwareReleaseURL, SoftwareType, ComputerID, PartitionID, ServerURL, RequestedState string
	// InstanceTitle and RootInstanceTitle are the titles of the instance and of its tree's root; InstanceGUID identifies it.
	InstanceTitle, RootInstanceTitle, InstanceGUID string
	// IPv4 and IPv6 are the partition's addresses.
	IPv4, IPv6 []string
	// Executable is the path of the running vow binary, ${vow:executable}.
	Executable string
}

// User is a user of the machine; names that it does not know are the numbers.
type User struct{ Name, UID, Group, GID, Home string }

// defaults are options that a profile may override.
func (e Environment) defaults() map[string]map[string]string {
	d := e.BuildoutDirectory
	all := map[string]map[string]string{
		"buildout": {
			"bin-directory":          d + "/sbin",
			"parts-directory":        d + "/parts",
			"eggs-directory":         d + "/eggs",
			"develop-eggs-directory": d + "/develop-eggs",
			"installed":              ".installed.cfg",
			"parts":                  "",
			"offline":                "true",
			"newest":                 "false",
			"storage-home":           "",
			"executable":             "/usr/bin/python3",
			"python":                 "buildout",
		},
		"vow": {"executable": e.Executable},
	}
	if len(e.Parameters) > 0 {
		all["slap-parameter"] = map[string]string{}
	}
	network := map[string]string{}
	if len(e.IPv4) > 0 {
		network["local-ipv4"] = e.IPv4[0]
	}
	if len(e.IPv6) > 0 {
		network["global-ipv6"] = e.IPv6[0]
	}
	if len(network) > 0 {
		all["slap-network-information"] = network
	}
	return all
}

// forced are options that win over the profile, as the lines slapgrid appends to buildout.cfg do.
func (e Environment) forced() map[string]map[string]string {
	parameters := map[string]string{}
	for name, value := range e.Parameters {
		if value != "" {
			parameters[name] = value
		}
	}
	connection := map[string]string{
		"computer-id":          e.ComputerID,
		"partition-id":         e.PartitionID,
		"server-url":           e.ServerURL,
		"software-release-url": e.SoftwareReleaseURL,
		"requested-state":      e.RequestedState,
		"key-file":             "",
		"cert-file":            "",
	}
	// Older profiles know the section and its options with underscores.
	older := make(map[string]string, len(connection))
	for name, value := range connection {
		older[strings.ReplaceAll(name, "-", "_")] = value
	}
	return map[string]map[string]string{
		"buildout":        {"directory": e.BuildoutDirectory},
		"slap-connection": connection,
		"slap_connection": older,
		"slap-parameter":  parameters,
	}
}

// lay puts the environment under and over a document's options of one section. Options of the environment
// are taken literally: a parameter with "${" in it is data, never a reference. Options given are not written to; they are
// the answer when the environment says nothing of the section.
func (e *environmentLayers) lay(name string, options map[string]Option) map[string]Option {
	if len(e.defaults[name])+len(e.forced[name]) == 0 {
		return options
	}
	options = maps.Clone(options)
	if options == nil {
		options = map[string]Option{}
	}
	for option, value := range e.defaults[name] {
		literal := Option{Name: option, assigned: true, text: value}
		if written, ok := options[option]; ok {
			literal = written.over(literal)
		}
		options[option] = literal
	}
	for option, value := range e.forced[name] {
		options[option] = Option{Name: option, assigned: true, text: value}
	}
	return options
}

type environmentLayers struct{ defaults, forced map[string]map[string]string }

func (e *environmentLayers) has(name string) bool {
	return e.defaults[name] != nil || len(e.forced[name]) > 0
}
