package tiltfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// Call is one call of a built-in, its positional arguments under their names.
type Call struct {
	Function  string
	Arguments map[string]starlark.Value
}

// Text is a string argument; empty when there is none.
func (c Call) Text(name string) string {
	s, _ := starlark.AsString(c.Arguments[name])
	return s
}

// List is an argument that is a list of strings.
func (c Call) List(name string) (all []string) {
	list, ok := c.Arguments[name].(starlark.Iterable)
	if !ok {
		return nil
	}
	for v := range starlark.Elements(list) {
		s, ok := starlark.AsString(v)
		if !ok {
			s = v.String()
		}
		all = append(all, s)
	}
	return all
}

// World is what the file finds.
type World struct {
	Settings    map[string]string // of config.parse
	Subcommand  string
	Environment map[string]string
}

// signatures are Tilt's own, of the built-ins that the file may use. What is not here does not exist.
var signatures = map[string][]string{
	"version_settings": {"check_updates", "constraint"},
	"ci_settings":      {"k8s_grace_period", "timeout", "readiness_timeout"},
	"local_resource": {
		"name", "cmd", "deps", "trigger_mode", "resource_deps", "ignore", "auto_init", "serve_cmd", "cmd_bat", "serve_cmd_bat", "allow_parallel",
		"links", "tags", "env", "serve_env", "readiness_probe", "dir", "serve_dir", "labels",
	},
	"k8s_resource": {
		"workload", "new_name", "port_forwards", "extra_pod_selectors", "trigger_mode", "resource_deps", "objects", "auto_init", "pod_readiness", "links", "labels", "discovery_strategy",
	},
	"custom_build": {
		"ref", "command", "deps", "tag", "disable_push", "skips_local_docker", "live_update", "match_in_env_vars", "ignore", "entrypoint",
		"command_bat_val", "outputs_image_ref_to", "command_bat", "image_deps", "env", "dir",
	},
	"k8s_yaml":           {"yaml", "allow_duplicates"},
	"kustomize":          {"pathToDir", "kustomize_bin", "flags"},
	"k8s_context":        {},
	"allow_k8s_contexts": {"contexts"},
	"probe":              {"initial_delay_secs", "timeout_secs", "period_secs", "success_threshold", "failure_threshold", "exec", "http_get", "tcp_socket"},
	"http_get_action":    {"port", "host", "scheme", "path"},
	"tcp_socket_action":  {"port", "host"},
	"exec_action":        {"command"},
	"link":               {"url", "name"},
	"port_forward":       {"local_port", "container_port", "name", "link_path", "host"},
}

// Evaluate runs a Tiltfile and returns what it called, in order.
func Evaluate(path string, w World) ([]Call, []string, error) {
	var calls []Call
	var printed []string
	recorder := func(name string, parameters []string) *starlark.Builtin {
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			call := Call{Function: name, Arguments: map[string]starlark.Value{}}
			if len(args) > len(parameters) {
				return nil, fmt.Errorf("%s takes %d arguments, got %d", name, len(parameters), len(args))
			}
			for i, a := range args {
				call.Arguments[parameters[i]] = a
			}
			for _, pair := range kwargs {
				key := string(pair[0].(starlark.String))
				if !slices.Contains(parameters, key) || call.Arguments[key] != nil {
					return nil, fmt.Errorf("%s has no argument %s, or has it twice", name, key)
				}
				call.Arguments[key] = pair[1]
			}
			calls = append(calls, call)
			switch name {
			case "k8s_context":
				return starlark.String("some-cluster"), nil
			case "kustomize":
				return starlark.String("kustomize:" + call.Text("pathToDir")), nil
			case "probe", "http_get_action", "tcp_socket_action", "exec_action", "link", "port_forward":
				fields := starlark.StringDict{}
				for key, value := range call.Arguments {
					fields[key] = value
				}
				return starlarkstruct.FromStringDict(starlark.String(name), fields), nil
			}
			return starlark.None, nil
		})
	}
	predeclared := starlark.StringDict{
		"__file__":            starlark.String(path),
		"TRIGGER_MODE_AUTO":   starlark.String("auto"),
		"TRIGGER_MODE_MANUAL": starlark.String("manual"),
		"config":              configModule(w),
		"os":                  osModule(w),
	}
	for name, parameters := range signatures {
		predeclared[name] = recorder(name, parameters)
	}
	thread := &starlark.Thread{Name: path, Print: func(_ *starlark.Thread, line string) { printed = append(printed, line) }}
	// As Tilt sets it: statements at the top, and names that are assigned again.
	options := &syntax.FileOptions{Set: true, GlobalReassign: true, TopLevelControl: true}
	_, err := starlark.ExecFileOptions(options, thread, path, nil, predeclared)
	return calls, printed, err
}

// function wraps a Go function of strings.
func function(name string, fn func(args []string) (starlark.Value, error)) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var all []string
		for _, a := range args {
			s, ok := starlark.AsString(a)
			if !ok {
				return nil, fmt.Errorf("%s wants strings", name)
			}
			all = append(all, s)
		}
		if name != "config.define_string" && len(kwargs) > 0 {
			return nil, fmt.Errorf("%s takes no keywords", name)
		}
		return fn(all)
	})
}

func configModule(w World) starlark.Value {
	return starlarkstruct.FromStringDict(starlark.String("config"), starlark.StringDict{
		"tilt_subcommand": starlark.String(w.Subcommand),
		"define_string":   function("config.define_string", func([]string) (starlark.Value, error) { return starlark.None, nil }),
		"parse": function("config.parse", func([]string) (starlark.Value, error) {
			settings := starlark.NewDict(len(w.Settings))
			for key, value := range w.Settings {
				if err := settings.SetKey(starlark.String(key), starlark.String(value)); err != nil {
					return nil, err
				}
			}
			return settings, nil
		}),
	})
}

func osModule(w World) starlark.Value {
	text := func(fn func([]string) string) func([]string) (starlark.Value, error) {
		return func(args []string) (starlark.Value, error) { return starlark.String(fn(args)), nil }
	}
	path := starlarkstruct.FromStringDict(starlark.String("path"), starlark.StringDict{
		"dirname": function("dirname", text(func(a []string) string { return filepath.Dir(a[0]) })),
		"join":    function("join", text(func(a []string) string { return strings.Join(a, "/") })),
		"realpath": function("realpath", func(a []string) (starlark.Value, error) {
			real, err := filepath.EvalSymlinks(a[0])
			return starlark.String(real), err
		}),
		"exists": function("exists", func(a []string) (starlark.Value, error) {
			_, err := os.Stat(a[0])
			return starlark.Bool(err == nil), nil
		}),
	})
	return starlarkstruct.FromStringDict(starlark.String("os"), starlark.StringDict{
		"path":   path,
		"getenv": function("getenv", text(func(a []string) string { return w.Environment[a[0]] })),
	})
}
