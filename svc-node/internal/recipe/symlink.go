package recipe

import (
	"context"
	"path"
	"strings"
)

// symbolicLink is slapos.cookbook:symbolic.link.
func symbolicLink() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:symbolic.link",
		Summary: "Makes symbolic links, usually to executables of the software release.",
		Options: []Option{
			{Name: "link-binary", Text: "Files to link to, one a line; each link has the file's name."},
			{Name: "target-directory", Text: "Directory the links of link-binary are made in."},
			{Name: "autocreate", Text: "Accepted: directories are made as needed."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			directory := w.Get("target-directory")
			if directory == "" {
				return w.Error("target-directory", "cannot make links: no directory is given")
			}
			for _, line := range strings.Split(w.Get("link-binary"), "\n") {
				target := strings.TrimSpace(line)
				if target == "" {
					continue
				}
				if err := w.Files.Link(target, path.Join(directory, path.Base(target))); err != nil {
					return w.Error("link-binary", "%w", err)
				}
			}
			return nil
		},
	}
}

// symbolicLinks is cns.recipe.symlink.
func symbolicLinks() *Recipe {
	return &Recipe{
		Name:    "cns.recipe.symlink",
		Summary: "Makes symbolic links.",
		Options: []Option{
			{Name: "symlink", Text: "Lines FILE = LINK."},
			{Name: "symlink_target, symlink_base", Text: "Directories: each name in symlink is then a link in the first to the second's file of that name."},
			{Name: "autocreate, ignore", Text: "Accepted: directories are made as needed."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			for _, line := range strings.Split(w.Get("symlink"), "\n") {
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				target, link, ok := strings.Cut(line, "=")
				target, link = strings.TrimSpace(target), strings.TrimSpace(link)
				if !ok {
					if w.Get("symlink_base") == "" || w.Get("symlink_target") == "" {
						return w.Error("symlink", "cannot read %q: lines are FILE = LINK", line)
					}
					target, link = path.Join(w.Get("symlink_base"), line), path.Join(w.Get("symlink_target"), line)
				}
				if err := w.Files.Link(target, link); err != nil {
					return w.Error("symlink", "%w", err)
				}
			}
			return nil
		},
	}
}
