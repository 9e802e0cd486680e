package tiltfile

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// evaluation is the file while it runs.
type evaluation struct {
	*Model
	World
	directory string
	objects   []manifest.Object
	options   []options
	defined   map[string]bool
	parsed    bool
}

// options are a call of k8s_resource, until all objects are known.
type options struct {
	workload, newName resourceName
	after, objects    textList
	labels            labels
	forwards          forwardList
}

type function = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// unpacked makes a built-in of where its arguments go and what it does with them. A name with ? may be left out, as starlark.UnpackArgs has it.
func unpacked(build func() (arguments []any, do func() (starlark.Value, error))) function {
	return func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		arguments, do := build()
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, arguments...); err != nil {
			return nil, err
		}
		v, err := do()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		return v, nil
	}
}

func shown(name string) starlark.Value {
	return starlarkstruct.FromStringDict(starlark.String(name), nil)
}

func (e *evaluation) builtins() map[string]function {
	return map[string]function{
		"version_settings":   unpacked(e.versionSettings),
		"ci_settings":        unpacked(e.ciSettings),
		"local_resource":     unpacked(e.localResource),
		"k8s_resource":       unpacked(e.k8sResource),
		"custom_build":       unpacked(e.customBuild),
		"default_registry":   unpacked(e.defaultRegistry),
		"k8s_yaml":           unpacked(e.k8sYAML),
		"kustomize":          unpacked(e.kustomize),
		"k8s_context":        unpacked(e.k8sContext),
		"allow_k8s_contexts": unpacked(e.allowContexts),
		"probe":              unpacked(e.probe),
		"http_get_action":    unpacked(e.httpGet),
		"tcp_socket_action":  unpacked(e.tcpSocket),
		"exec_action":        unpacked(e.exec),
		"link":               unpacked(e.link),
		"port_forward":       unpacked(e.portForward),
	}
}

func (e *evaluation) versionSettings() ([]any, func() (starlark.Value, error)) {
	var updates bool
	var constraint string
	return []any{"check_updates?", &updates, "constraint?", &constraint}, func() (starlark.Value, error) {
		if constraint != "" && !versionPattern.MatchString(constraint) {
			return nil, fmt.Errorf("cannot read the constraint %q: this contract knows >=X.Y.Z", constraint)
		}
		e.Version = constraint
		return starlark.None, nil
	}
}

func (e *evaluation) ciSettings() ([]any, func() (starlark.Value, error)) {
	grace, timeout, ready := span(e.GracePeriod), span(e.Timeout), span(e.ReadinessTimeout)
	return []any{"k8s_grace_period?", &grace, "timeout?", &timeout, "readiness_timeout?", &ready}, func() (starlark.Value, error) {
		e.GracePeriod, e.Timeout, e.ReadinessTimeout = time.Duration(grace), time.Duration(timeout), time.Duration(ready)
		return starlark.None, nil
	}
}

func (e *evaluation) localResource() ([]any, func() (starlark.Value, error)) {
	var (
		name                  resourceName
		update, serve         words
		ignored               words
		deps, ignore          texts
		after                 textList
		mode                  triggerMode
		initial, parallel     = true, false
		links                 linkList
		labels                labels
		environment, serveEnv pairs
		ready                 probeValue
		directory, serveDir   string
		arguments             = []any{
			"name", &name, "cmd?", &update, "deps?", &deps, "trigger_mode?", &mode, "resource_deps?", &after, "ignore?", &ignore, "auto_init?", &initial,
			"serve_cmd?", &serve, "cmd_bat?", &ignored, "serve_cmd_bat?", &ignored, "allow_parallel?", &parallel, "links?", &links, "labels?", &labels,
			"env?", &environment, "serve_env?", &serveEnv, "readiness_probe?", &ready, "dir?", &directory, "serve_dir?", &serveDir,
		}
	)
	return arguments, func() (starlark.Value, error) {
		r := &Local{
			Name: string(name), Update: e.command(update, environment, directory), Serve: e.command(serve, serveEnv, serveDir), After: after, Labels: labels,
			Watched: e.paths(deps), Links: links, Manual: mode == "manual", Initial: initial, Parallel: parallel || len(update) == 0,
		}
		if len(update) == 0 && len(serve) == 0 {
			return nil, errors.New("must have a cmd and/or a serve_cmd, but both were empty")
		}
		if ready.Value != nil {
			if len(serve) == 0 {
				return nil, fmt.Errorf("%q has a readiness probe, and no serve_cmd was defined", name)
			}
			r.Ready = &ready.Probe
		}
		if slices.ContainsFunc(e.Local, func(o *Local) bool { return o.Name == r.Name }) {
			return nil, fmt.Errorf("local_resource named %q already exists", name)
		}
		e.Local = append(e.Local, r)
		return starlark.None, nil
	}
}

func (e *evaluation) k8sResource() ([]any, func() (starlark.Value, error)) {
	var (
		o                               starlark.Value
		c                               options
		mode                            triggerMode
		selectors, readiness, discovery = o, o, o
		initial                         = true
		links                           linkList
		arguments                       = []any{
			"workload?", &c.workload, "new_name?", &c.newName, "port_forwards?", &c.forwards, "extra_pod_selectors?", &selectors, "trigger_mode?", &mode,
			"resource_deps?", &c.after, "objects?", &c.objects, "auto_init?", &initial, "pod_readiness?", &readiness, "links?", &links, "labels?", &c.labels,
			"discovery_strategy?", &discovery,
		}
	)
	return arguments, func() (starlark.Value, error) {
		if c.workload == "" && c.newName == "" {
			return nil, errors.New("resource name missing: must give a name for an existing resource or a new_name to create a new resource")
		}
		if c.workload == "" && len(c.objects) == 0 {
			return nil, errors.New("doesn't specify a workload or any objects")
		}
		e.options = append(e.options, c)
		return starlark.None, nil
	}
}

func (e *evaluation) customBuild() ([]any, func() (starlark.Value, error)) {
	var (
		image, tag, directory, outputs string
		command, entrypoint, bat, val  words
		deps, ignore                   texts
		environment                    pairs
		push, delivers, match          bool
		update                         starlark.Value
		container, images              textList
		arguments                      = []any{
			"ref", &image, "command", &command, "deps", &deps, "tag?", &tag, "disable_push?", &push, "skips_local_docker?", &delivers, "live_update?", &update,
			"match_in_env_vars?", &match, "ignore?", &ignore, "entrypoint?", &entrypoint, "container_args?", &container, "command_bat_val?", &val,
			"outputs_image_ref_to?", &outputs, "command_bat?", &bat, "image_deps?", &images, "env?", &environment, "dir?", &directory,
		}
	)
	return arguments, func() (starlark.Value, error) {
		if !imagePattern.MatchString(image) {
			return nil, fmt.Errorf("can't parse %q", image)
		}
		if len(command) == 0 {
			return nil, fmt.Errorf("image %q has no command", image)
		}
		if slices.ContainsFunc(e.Builds, func(b Build) bool { return b.Image == image }) {
			return nil, fmt.Errorf("image for ref %q has already been defined", image)
		}
		e.Builds = append(e.Builds, Build{Image: image, Command: e.command(command, environment, directory), Watched: e.paths(deps), Delivers: delivers})
		return starlark.None, nil
	}
}

func (e *evaluation) defaultRegistry() ([]any, func() (starlark.Value, error)) {
	var host, fromCluster, single string
	return []any{"host", &host, "host_from_cluster?", &fromCluster, "single_name?", &single}, func() (starlark.Value, error) {
		if e.Registry != "" {
			return nil, errors.New("default registry already defined")
		}
		e.Registry = host
		return starlark.None, nil
	}
}

// blob is YAML that a built-in made. Tilt's is text; here the objects are enough.
type blob struct {
	starlark.Value
	objects []manifest.Object
}

func (e *evaluation) k8sYAML() ([]any, func() (starlark.Value, error)) {
	var yaml starlark.Value
	var duplicates bool
	return []any{"yaml", &yaml, "allow_duplicates?", &duplicates}, func() (starlark.Value, error) {
		for _, v := range elements(yaml) {
			b, ok := v.(blob)
			if !ok {
				return nil, fmt.Errorf("this contract knows what kustomize() returns, got %s", v.Type())
			}
			for _, o := range b.objects {
				if !duplicates && slices.ContainsFunc(e.objects, func(p manifest.Object) bool { return o.String() == p.String() && o.Namespace == p.Namespace }) {
					return nil, fmt.Errorf("duplicate YAML: %s", o)
				}
				e.objects = append(e.objects, o)
			}
		}
		if len(e.objects) == 0 {
			return nil, errors.New("empty YAML passed to k8s_yaml")
		}
		return starlark.None, nil
	}
}

func (e *evaluation) kustomize() ([]any, func() (starlark.Value, error)) {
	var path, program string
	var flags textList
	return []any{"paths", &path, "kustomize_bin?", &program, "flags?", &flags}, func() (starlark.Value, error) {
		objects, err := manifest.Build("", e.within(path))
		return blob{shown("blob"), objects}, err
	}
}

func (e *evaluation) k8sContext() ([]any, func() (starlark.Value, error)) {
	return nil, func() (starlark.Value, error) { return starlark.String(e.Context), nil }
}

func (e *evaluation) allowContexts() ([]any, func() (starlark.Value, error)) {
	var contexts texts
	return []any{"contexts", &contexts}, func() (starlark.Value, error) {
		e.Allowed = append(e.Allowed, contexts...)
		return starlark.None, nil
	}
}

func (e *evaluation) probe() ([]any, func() (starlark.Value, error)) {
	// The defaults of github.com/tilt-dev/probe.
	delay, timeout, period, success, failure := 0, 1, 10, 1, 3
	var command, get, socket action
	arguments := []any{
		"initial_delay_secs?", &delay, "timeout_secs?", &timeout, "period_secs?", &period, "success_threshold?", &success, "failure_threshold?", &failure,
		"exec?", &command, "http_get?", &get, "tcp_socket?", &socket,
	}
	return arguments, func() (starlark.Value, error) {
		given := 0
		for _, a := range []action{command, get, socket} {
			if a.given() {
				given++
			}
		}
		if given != 1 {
			return nil, errors.New("exactly one of exec, http_get, or tcp_socket must be specified")
		}
		if delay < 0 || min(timeout, period, success, failure) < 1 {
			return nil, errors.New("seconds and thresholds must be positive")
		}
		if command.given() {
			return nil, errors.New("a probe that runs a command is not known to this contract")
		}
		return probeValue{shown("Probe"), Probe{
			Delay: time.Duration(delay) * time.Second, Timeout: time.Duration(timeout) * time.Second, Period: time.Duration(period) * time.Second,
			SuccessThreshold: success, FailureThreshold: failure, URL: get.url, Address: socket.address,
		}}, nil
	}
}

func (e *evaluation) httpGet() ([]any, func() (starlark.Value, error)) {
	var port int
	host, scheme, path := "localhost", "http", ""
	return []any{"port", &port, "host?", &host, "scheme?", &scheme, "path?", &path}, func() (starlark.Value, error) {
		u, err := url.Parse(path)
		if err != nil {
			return nil, err
		}
		u.Scheme, u.Host = strings.ToLower(scheme), net.JoinHostPort(host, strconv.Itoa(port))
		return action{Value: shown("HTTPGetAction"), url: u.String()}, checkPort(port)
	}
}

func (e *evaluation) tcpSocket() ([]any, func() (starlark.Value, error)) {
	var port int
	host := "localhost"
	return []any{"port", &port, "host?", &host}, func() (starlark.Value, error) {
		return action{Value: shown("TCPSocketAction"), address: net.JoinHostPort(host, strconv.Itoa(port))}, checkPort(port)
	}
}

func (e *evaluation) exec() ([]any, func() (starlark.Value, error)) {
	var command textList
	return []any{"command", &command}, func() (starlark.Value, error) {
		return action{Value: shown("ExecAction"), command: command}, nil
	}
}

func (e *evaluation) link() ([]any, func() (starlark.Value, error)) {
	var to, name string
	return []any{"url", &to, "name?", &name}, func() (starlark.Value, error) {
		if u, err := url.Parse(to); err != nil || u.Host == "" {
			return nil, fmt.Errorf("validating URL %q: %w", to, err)
		}
		return linkValue{shown("link"), to}, nil
	}
}

func (e *evaluation) portForward() ([]any, func() (starlark.Value, error)) {
	var local, container int
	var name, path, host string
	return []any{"local_port", &local, "container_port?", &container, "name?", &name, "link_path?", &path, "host?", &host}, func() (starlark.Value, error) {
		return forwardValue{shown("port_forward"), local}, errors.Join(checkPort(local), checkPort(container))
	}
}

func (e *evaluation) config() starlark.Value {
	define := func() ([]any, func() (starlark.Value, error)) {
		var name, usage string
		var arguments bool
		return []any{"name", &name, "args?", &arguments, "usage?", &usage}, func() (starlark.Value, error) {
			if e.parsed || e.defined[name] || name == "" {
				return nil, fmt.Errorf("%s defined twice, or after config.parse", name)
			}
			e.defined[name] = true
			return starlark.None, nil
		}
	}
	parse := func() ([]any, func() (starlark.Value, error)) {
		return nil, func() (starlark.Value, error) {
			e.parsed = true
			settings := starlark.NewDict(len(e.Settings))
			for key, value := range e.Settings {
				if !e.defined[key] {
					return nil, fmt.Errorf("unknown flag: --%s", key)
				}
				if err := settings.SetKey(starlark.String(key), starlark.String(value)); err != nil {
					return nil, err
				}
			}
			return settings, nil
		}
	}
	return starlarkstruct.FromStringDict(starlark.String("config"), starlark.StringDict{
		"tilt_subcommand": starlark.String(e.Subcommand),
		"define_string":   starlark.NewBuiltin("config.define_string", unpacked(define)),
		"parse":           starlark.NewBuiltin("config.parse", unpacked(parse)),
	})
}

func (e *evaluation) os() starlark.Value {
	one := func(name string, do func(path string) (starlark.Value, error)) *starlark.Builtin {
		return starlark.NewBuiltin(name, unpacked(func() ([]any, func() (starlark.Value, error)) {
			var path string
			return []any{"path", &path}, func() (starlark.Value, error) { return do(path) }
		}))
	}
	join := starlark.NewBuiltin("join", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var parts texts
		if err := parts.Unpack(args); err != nil || len(parts) == 0 || len(kwargs) > 0 {
			return nil, fmt.Errorf("%s takes strings", b.Name())
		}
		return starlark.String(filepath.Join(parts...)), nil
	})
	getenv := func() ([]any, func() (starlark.Value, error)) {
		var key string
		var otherwise starlark.Value = starlark.None
		return []any{"key", &key, "default?", &otherwise}, func() (starlark.Value, error) {
			if value, ok := e.Environment[key]; ok {
				return starlark.String(value), nil
			}
			return otherwise, nil
		}
	}
	return starlarkstruct.FromStringDict(starlark.String("os"), starlark.StringDict{
		"getenv": starlark.NewBuiltin("os.getenv", unpacked(getenv)),
		"path": starlarkstruct.FromStringDict(starlark.String("path"), starlark.StringDict{
			"join":    join,
			"dirname": one("dirname", func(p string) (starlark.Value, error) { return starlark.String(filepath.Dir(p)), nil }),
			"realpath": one("realpath", func(p string) (starlark.Value, error) {
				real, err := filepath.EvalSymlinks(e.within(p))
				return starlark.String(real), err
			}),
			"exists": one("exists", func(p string) (starlark.Value, error) {
				_, err := os.Stat(e.within(p))
				return starlark.Bool(err == nil), nil
			}),
		}),
	})
}
