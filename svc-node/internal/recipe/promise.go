package recipe

import (
	"context"
	"encoding/json"
	"regexp"
	"sort"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe/jinja"
	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
)

// promisePlugin is slapos.cookbook:promise.plugin.
func promisePlugin() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:promise.plugin",
		Summary: "Writes a promise into etc/plugin: a declaration of a built-in sensor (docs/sensors.md) where the module is one, else a Python file.",
		Options: []Option{
			{Name: "output", Required: true, Text: "Path of the promise, usually in ${buildout:directory}/etc/plugin. That of a built-in ends in .json instead of .py."},
			{Name: "module", Text: "Module that defines the promise, such as check_socket_listening; without a dot it is one of slapos.promise.plugin. Exactly one of module, file and content is given."},
			{Name: "file", Text: "Path of a Python file that defines it."},
			{Name: "content", Text: "Python source that imports it (older profiles)."},
			{Name: "class", Default: "RunPromise", Text: "Name of the class in the module or file."},
			{Name: "config-*", Text: "Configuration of the promise."},
			{Name: "mode", Default: "644", Text: "Mode of the file, in octal."},
			{Name: "vow-python", Default: "false", Text: "true: the Python module is wanted though there is a built-in sensor of its name."},
			{Name: "eggs", Text: "Accepted: the node's Python host finds modules."},
		},
		Signature: 2,
		Install: func(_ context.Context, w *Work) error {
			source, err := promiseSource(w)
			if err != nil {
				return err
			}
			output := w.Get("output")
			if name, ok := builtinNamed(w); ok {
				if source, err = builtinDeclaration(w, name); err != nil {
					return err
				}
				output = strings.TrimSuffix(output, ".py") + ".json"
			}
			mode, err := w.Mode("mode", 0o644)
			if err != nil {
				return err
			}
			if err := w.Files.Write(output, []byte(source), mode); err != nil {
				return w.Error("output", "%w", err)
			}
			return nil
		},
	}
}

// packageOfPromises is where a module without a package is.
const packageOfPromises = "slapos.promise.plugin."

func module(w *Work) string {
	name := w.Get("module")
	if name != "" && !strings.Contains(name, ".") {
		name = packageOfPromises + name
	}
	return name
}

// importOfOne is the only line of the content of older profiles.
var importOfOne = regexp.MustCompile(`^from (slapos\.promise\.plugin\.[a-z0-9_]+) import RunPromise$`)

// builtinNamed tells which built-in sensor the section gets, if it names the module of one and does not want the Python one.
func builtinNamed(w *Work) (string, bool) {
	name := module(w)
	if match := importOfOne.FindStringSubmatch(w.Get("content")); match != nil {
		name = match[1]
	}
	if !strings.HasPrefix(name, packageOfPromises) || isTrue(w.Get("vow-python")) || w.Get("class") != "" && w.Get("class") != "RunPromise" {
		return "", false
	}
	found, ok := builtin.Find(name)
	return found.Name, ok
}

// builtinDeclaration is etc/plugin/<name>.json.
func builtinDeclaration(w *Work, sensor string) (string, error) {
	config := map[string]any{}
	for option, value := range w.Part.Options {
		if key, ok := strings.CutPrefix(option, "config-"); ok {
			config[key] = value.Data()
		}
	}
	text, err := json.MarshalIndent(struct {
		Sensor string         `json:"sensor"`
		Config map[string]any `json:"config"`
	}{sensor, config}, "", "  ")
	if err != nil {
		return "", w.Error("module", "cannot declare this promise: %w", err)
	}
	return string(text) + "\n", nil
}

func promiseSource(w *Work) (string, error) {
	module, file, content := module(w), w.Get("file"), w.Get("content")
	if content != "" {
		file = "" // before file was an option of the recipe, profiles used the name for themselves
	}
	given := 0
	for _, text := range []string{module, file, content} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return "", w.Error("module", "cannot write this promise: exactly one of module, file and content is needed, %d are given", given)
	}
	class := w.Get("class")
	if class == "" {
		class = "RunPromise"
	}
	if !isVariable(class) {
		return "", w.Error("class", "cannot use %q as the name of a class", class)
	}
	var b strings.Builder
	b.WriteString("# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\n")
	alias := ""
	if class != "RunPromise" {
		alias = "\nRunPromise = " + class
	}
	switch {
	case module != "":
		for _, name := range strings.Split(module, ".") {
			if !isVariable(name) {
				return "", w.Error("module", "cannot use %q as the name of a module", module)
			}
		}
		b.WriteString("from " + module + " import " + class + alias + "\n")
	case file != "":
		b.WriteString("exec(compile(open(" + jinja.Literal(file) + ").read(), " + jinja.Literal(file) + ", 'exec'))" + alias + "\n")
	default:
		b.WriteString(content + alias + "\n")
	}
	b.WriteString("\nextra_config_dict = {\n")
	var names []string
	for option := range w.Part.Options {
		if strings.HasPrefix(option, "config-") {
			names = append(names, option)
		}
	}
	sort.Strings(names)
	for _, option := range names {
		b.WriteString("  " + jinja.Literal(strings.TrimPrefix(option, "config-")) + ": " + jinja.Literal(w.Part.Options[option].Data()) + ",\n")
	}
	b.WriteString("}\n")
	return b.String(), nil
}
