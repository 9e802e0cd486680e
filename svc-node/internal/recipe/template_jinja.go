package recipe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe/jinja"
	"github.com/vow-os/vow/svc-node/profile"
)

// contextOption holds the variables of a template, once its context is resolved.
const contextOption = "_context_"

// jinjaTemplate is slapos.recipe.template:jinja2.
func jinjaTemplate() *Recipe {
	return &Recipe{
		Name:    "slapos.recipe.template:jinja2",
		Summary: "Writes a file from a Jinja2 template.",
		Options: []Option{
			{Name: "url", Text: "Path of the template, in the software release or the partition; template is another spelling."},
			{Name: "inline", Text: "The template itself; \"inline:\" before the text of url does the same."},
			{Name: "output", Text: "Path of the file; rendered is another spelling."},
			{Name: "context", Text: "Variables, one a line: KIND NAME EXPRESSION. Kinds: key (SECTION:OPTION), raw (text), json, jsonkey, section (a whole section), import (a Python module: json, hashlib, base64, six, urllib.parse or os.path)."},
			{Name: "extra-context", Text: "More lines of the same."},
			{Name: "import-list", Text: "Templates that may be imported, one a line: file NAME SECTION:OPTION or rawfile NAME PATH, or folder and rawfolder."},
			{Name: "extensions", Text: "Accepted: do, loop controls and the like are always there."},
			{Name: "md5sum", Text: "Checksum of the template."},
			{Name: "mode", Default: "640, or 750 when the text starts with #!", Text: "Mode of the file, in octal."},
			{Name: "encoding, once, import-delimiter", Text: "encoding is always utf-8; once is the path of a file, usually the output: when it exists the template is not rendered, and what was rendered once is the user's; import-delimiter is always /."},
		},
		Signature: 4,
		Provide:   provideContext,
		Install:   renderJinja,
		Update:    renderJinja,
	}
}

func provideContext(_ context.Context, in *Init) (profile.Provided, error) {
	variables := map[string]any{}
	provided := profile.Provided{Options: map[string]profile.Value{}}
	for _, option := range []string{"context", "extra-context"} {
		for _, line := range strings.Split(in.Text(option), "\n") {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			kind, name, expression, err := splitContext(line)
			if err != nil {
				return provided, in.Error(option, "%w", err)
			}
			value, waiting, err := contextValue(in, option, kind, expression)
			if unavailable := (*profile.Unavailable)(nil); errors.As(err, &unavailable) {
				// The other lines are resolved all the same, so that what they need is asked for in this run.
				waiting = unavailable.Error()
			} else if err != nil {
				return provided, err
			}
			if waiting != "" {
				provided.Waiting = waiting
			}
			variables[name] = value
		}
	}
	imports, err := resolveImports(in)
	if err != nil {
		return provided, err
	}
	provided.Options[contextOption] = profile.Structured(map[string]any{"variables": variables, "imports": imports})
	aliasOutput(in, provided.Options)
	return provided, nil
}

func splitContext(line string) (kind, name, expression string, err error) {
	kind, rest, _ := strings.Cut(line, " ")
	name, expression, _ = strings.Cut(strings.TrimSpace(rest), " ")
	if name == "" {
		return "", "", "", fmt.Errorf("cannot read %q: lines are KIND NAME EXPRESSION", line)
	}
	return kind, name, strings.TrimSpace(expression), nil
}

// moduleMark stands for an imported module in a context, which is stored as data.
const moduleMark = "\x01module:"

func contextValue(in *Init, option, kind, expression string) (value any, waiting string, err error) {
	switch kind {
	case "raw":
		return expression, "", nil
	case "json":
		if err := json.Unmarshal([]byte(expression), &value); err != nil {
			return nil, "", in.Error(option, "cannot read %q as JSON: %w", expression, err)
		}
		return value, "", nil
	case "key", "jsonkey":
		section, name, ok := strings.Cut(expression, ":")
		if !ok {
			return nil, "", in.Error(option, "cannot read %q: %s takes SECTION:OPTION", expression, kind)
		}
		v, err := in.Lookup(strings.TrimSpace(section), strings.TrimSpace(name), option)
		if err != nil || kind == "key" {
			return v.Data(), "", err
		}
		if err := json.Unmarshal([]byte(v.JSON()), &value); err != nil {
			return nil, "", in.Error(option, "cannot read ${%s} as JSON: %w", expression, err)
		}
		return value, "", nil
	case "section":
		options, w, err := in.values(expression, option)
		if err != nil {
			return nil, "", err
		}
		if w != nil {
			waiting = w.Error()
		}
		return options, waiting, nil
	case "import":
		if _, ok := jinja.Module(expression); !ok {
			return nil, "", in.Error(option, "cannot import the Python module %q into a template: it is %w; json, hashlib, base64, six, urllib.parse and os.path are", expression, profile.ErrNotBuiltIn)
		}
		return moduleMark + expression, "", nil
	}
	return nil, "", in.Error(option, "cannot use the kind %q: key, raw, json, jsonkey, section and import are", kind)
}

// resolveImports turns import-list into names and paths.
func resolveImports(in *Init) (map[string]any, error) {
	imports := map[string]any{}
	for _, line := range strings.Split(in.Text("import-list"), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 3 {
			return nil, in.Error("import-list", "cannot read %q: lines are KIND NAME EXPRESSION", line)
		}
		path := fields[2]
		switch fields[0] {
		case "file", "folder":
			section, name, _ := strings.Cut(path, ":")
			v, err := in.Lookup(section, name, "import-list")
			if err != nil {
				return nil, err
			}
			path = v.String()
		case "rawfile", "rawfolder":
		default:
			return nil, in.Error("import-list", "cannot use the kind %q: file, rawfile, folder and rawfolder are", fields[0])
		}
		if strings.HasSuffix(fields[0], "folder") {
			path += "/"
		}
		imports[fields[1]] = path
	}
	return imports, nil
}

// renderJinja renders, unless template, imports and context are those of last time.
func renderJinja(_ context.Context, w *Work) error {
	source, _, option, err := templateSource(w.Get, w.Files)
	if err != nil {
		return w.Error(option, "%w", err)
	}
	all, _ := w.Part.Options[contextOption].Data().(map[string]any)
	variables, _ := all["variables"].(map[string]any)
	imports, _ := all["imports"].(map[string]any)
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %s %s", len(source), source, w.Part.Options[contextOption].Fingerprint())
	folders := false
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		path, _ := imports[name].(string)
		if strings.HasSuffix(path, "/") {
			folders = true // what it imports is known only by rendering
			continue
		}
		content, err := w.Files.Read(path)
		if err != nil {
			return w.Error("import-list", "cannot read %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%d %s", len(content), content)
	}
	note := hex.EncodeToString(sum.Sum(nil)[:16])
	if w.Note == note && !folders {
		return nil
	}
	write := w.Files.Write
	if marker := w.Get("once"); marker != "" {
		if !isTrue(marker) && w.Files.Exists(marker) || w.Files.Exists(w.Get("output")) {
			return nil
		}
		write = w.Files.CreateOnce // from then on it is the user's
	}
	values := make(map[string]any, len(variables))
	for name, value := range variables {
		if text, ok := value.(string); ok && strings.HasPrefix(text, moduleMark) {
			value, _ = jinja.Module(text[len(moduleMark):])
		}
		values[name] = value
	}
	text, err := jinja.Render(jinja.Template{
		Name: w.Part.Name, Source: source, Context: values,
		Read: func(name string) (string, error) { return readImport(w, imports, name) },
	})
	if err != nil {
		return w.Error(option, "%w", err)
	}
	w.Note = note
	return writeOutput(w, text, write)
}

// readImport reads a template that another imports: only those import-list names.
func readImport(w *Work, imports map[string]any, name string) (string, error) {
	path, ok := imports[name].(string)
	if !ok {
		folder, rest, found := strings.Cut(name, "/")
		base, isFolder := imports[folder].(string)
		if !found || !isFolder || !strings.HasSuffix(base, "/") || strings.Contains("/"+rest+"/", "/../") {
			return "", fmt.Errorf("cannot import %q: import-list does not name it", name)
		}
		path = base + rest
	}
	content, err := w.Files.Read(path)
	return string(content), err
}
