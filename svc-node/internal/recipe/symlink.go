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
