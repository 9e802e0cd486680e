package recipe

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// renderedText is the option that holds a template's substituted text.
const renderedText = "_text_"

// plainTemplate is slapos.recipe.template: buildout's own references in a file.
func plainTemplate() *Recipe { return substitution("slapos.recipe.template") }

// collectiveTemplate is collective.recipe.template, which does the same with other option names.
func collectiveTemplate() *Recipe { return substitution("collective.recipe.template") }

func substitution(name string) *Recipe {
	return &Recipe{
		Name:    name,
		Summary: "Writes a file from a template in which ${section:option} is replaced.",
		Options: []Option{
			{Name: "url", Text: "Path of the template, in the software release or the partition; input and template are other spellings."},
			{Name: "inline", Text: "The template itself; \"inline:\" before the text of url does the same."},
			{Name: "output", Text: "Path of the file; rendered is another spelling."},
			{Name: "md5sum", Text: "Checksum of the template."},
			{Name: "mode", Default: "640, or 750 when the text starts with #!", Text: "Mode of the file, in octal."},
		},
		Signature: 2,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			// In an inline template the profile itself has replaced the references already.
			source, inline, option, err := templateSource(in.Text, in.Files)
			if err != nil {
				return profile.Provided{}, in.Error(option, "%w", err)
			}
			text := profile.Text(source)
			if !inline {
				if text, err = in.Substitute(source, option); err != nil {
					return profile.Provided{}, err
				}
			}
			options := map[string]profile.Value{renderedText: profile.Text(text.String())}
			aliasOutput(in, options)
			return profile.Provided{Options: options}, nil
		},
		Install: func(_ context.Context, w *Work) error {
			return writeOutput(w, w.Part.Options[renderedText].String(), w.Files.Write)
		},
	}
}

// aliasOutput lets other sections refer to the file as output, rendered or location, whichever was written.
func aliasOutput(in *Init, options map[string]profile.Value) {
	path := in.Text("output")
	if path == "" {
		path = in.Text("rendered")
	}
	for _, name := range []string{"output", "rendered", "location"} {
		if in.Text(name) == "" && path != "" {
			options[name] = profile.Text(path)
		}
	}
}

// templateSource finds a template's text; option is where it was given.
func templateSource(get func(string) string, files Files) (source string, inline bool, option string, err error) {
	if text := get("inline"); text != "" {
		return text + "\n", true, "inline", nil
	}
	for _, option = range []string{"url", "template", "input"} {
		location := get(option)
		if location == "" {
			continue
		}
		if text, ok := strings.CutPrefix(location, "inline:"); ok {
			return strings.TrimPrefix(text, "\n") + "\n", true, option, nil
		}
		content, err := files.Read(strings.TrimPrefix(location, "file://"))
		if err != nil {
			return "", false, option, err
		}
		if want := get("md5sum"); want != "" {
			if sum := md5.Sum(content); hex.EncodeToString(sum[:]) != want {
				return "", false, "md5sum", errors.New("cannot use the template " + location + ": its checksum is " + hex.EncodeToString(sum[:]))
			}
		}
		return string(content), false, option, nil
	}
	return "", false, "url", errors.New("cannot write a file: no template is given (url or inline)")
}

// writeOutput writes a rendered template. What starts as a script does is executable, unless mode says otherwise.
func writeOutput(w *Work, text string, write func(path string, content []byte, mode fs.FileMode) error) error {
	option := "output"
	path := w.Get(option)
	if path == "" {
		return w.Error(option, "cannot write a file: no output is given")
	}
	otherwise := fs.FileMode(0o640)
	if strings.HasPrefix(text, "#!") {
		otherwise = 0o750
	}
	mode, err := w.Mode("mode", otherwise)
	if err != nil {
		return err
	}
	if err := write(path, []byte(text), mode); err != nil {
		return w.Error(option, "%w", err)
	}
	return nil
}
