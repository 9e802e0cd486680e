package recipe

import (
	"context"
	"io/fs"
	"slices"
	"strings"
)

// makeDirectory is slapos.cookbook:mkdirectory: each option but the reserved ones is a directory to make.
func makeDirectory() *Recipe {
	make := func(_ context.Context, w *Work) error {
		mode, err := w.Mode("mode", 0o750)
		if err != nil {
			return err
		}
		for _, option := range sortedOptions(w) {
			if option == "recipe" || option == "mode" || strings.HasPrefix(option, "_") || strings.HasPrefix(option, "<") {
				continue
			}
			if err := makeEach(w, option, mode); err != nil {
				return err
			}
		}
		return nil
	}
	return &Recipe{
		Name:    "slapos.cookbook:mkdirectory",
		Aliases: []string{"slapos.cookbook:makedirectory", "slapos.recipe.build:mkdirectory"},
		Summary: "Makes directories. They are never removed, since services keep their data in them.",
		Options: []Option{
			{Name: "*", Text: "The path of a directory; several, one a line, are allowed."},
			{Name: "mode", Default: "750", Text: "Mode of directories made, in octal."},
		},
		Signature: 1,
		Install:   make,
		Update:    make,
	}
}

func makeEach(w *Work, option string, mode fs.FileMode) error {
	for _, path := range strings.Split(w.Part.Options[option].String(), "\n") {
		if path = strings.TrimSpace(path); path == "" {
			continue
		}
		if err := w.Files.MakeDirectory(path, mode); err != nil {
			return w.Error(option, "%w", err)
		}
	}
	return nil
}

func sortedOptions(w *Work) []string {
	names := []string{}
	for name := range w.Part.Options {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
