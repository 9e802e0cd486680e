package check

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// emptyNames say nothing about what is inside. "model" and "type" are not among them: the first is a simulator, the second
// the contract's package of shared messages.
func emptyNames() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "models", "types", "misc", "shared", "base", "lib", "stuff"}
}

// names bans packages and files called util, common and the like, and packages that are not named after their folder.
func names(r *Repository) (found []Finding) {
	for _, p := range r.Packages {
		if p.Generated() {
			continue
		}
		for part := range strings.SplitSeq(p.Dir, "/") {
			if slices.Contains(emptyNames(), part) {
				found = append(found, Finding{Path: p.Dir, Message: fmt.Sprintf("%q says nothing: name the package after its one job", part)})
			}
		}
		if p.Name != "main" && p.Name != path.Base(p.Dir) {
			found = append(found, Finding{Path: p.Dir, Message: fmt.Sprintf("package %s must be named after its folder", p.Name)})
		}
		for _, f := range p.Files {
			stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.Path), ".go"), "_test")
			if slices.Contains(emptyNames(), stem) {
				found = append(found, Finding{Path: f.Path, Message: fmt.Sprintf("%q says nothing: name the file after its one concept", stem)})
			}
		}
	}
	return found
}

// maxLines is where a reader should ask which two things a file is. Tests and generated files are not counted.
const maxLines = 500

// longFiles are the files allowed beyond maxLines, each with the reason why it is one thing all the same.
func longFiles() map[string]string {
	return map[string]string{}
}

func fileLengths(r *Repository) (found []Finding) {
	used := map[string]bool{}
	r.written(func(_ *Package, f *File) {
		if f.Test || f.Lines <= maxLines {
			return
		}
		if longFiles()[f.Path] != "" {
			used[f.Path] = true
			return
		}
		found = append(found, Finding{Path: f.Path, Message: fmt.Sprintf("%d lines, more than %d: split it, or give a reason in tools/check/names.go", f.Lines, maxLines)})
	})
	for p := range longFiles() {
		if _, err := r.FS.Open(p); err == nil && !used[p] {
			found = append(found, Finding{Path: p, Message: "is listed as long in tools/check/names.go and is not: remove the entry"})
		}
	}
	return found
}
