package recipe

import (
	"context"
	"sort"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe/jinja"
)

// promisePlugin is slapos.cookbook:promise.plugin.
func promisePlugin() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:promise.plugin",
		Summary: "Writes a Python promise into etc/plugin.",
		Options: []Option{
			{Name: "output", Required: true, Text: "Path of the promise, usually in ${buildout:directory}/etc/plugin."},
			{Name: "module", Text: "Module that defines the promise, such as slapos.promise.plugin.check_socket_listening. Exactly one of module, file and content is given."},
			{Name: "file", Text: "Path of a Python file that defines it."},
			{Name: "content", Text: "Python source that imports it (older profiles)."},
			{Name: "class", Default: "RunPromise", Text: "Name of the class in the module or file."},
			{Name: "config-*", Text: "Configuration of the promise."},
			{Name: "mode", Default: "644", Text: "Mode of the file, in octal."},
			{Name: "eggs", Text: "Accepted: the node's Python host finds modules."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			source, err := promiseSource(w)
			if err != nil {
				return err
			}
			mode, err := w.Mode("mode", 0o644)
			if err != nil {
				return err
			}
			if err := w.Files.Write(w.Get("output"), []byte(source), mode); err != nil {
				return w.Error("output", "%w", err)
			}
			return nil
		},
	}
}

func promiseSource(w *Work) (string, error) {
	module, file, content := w.Get("module"), w.Get("file"), w.Get("content")
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
