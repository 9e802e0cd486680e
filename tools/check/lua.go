package check

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// luaScripts wants each .lua file embedded by a Go file of its folder or the one above, and opened by a comment that says
// what it does: a script nobody embeds is dead, and one copied into a string is checked by nobody.
func luaScripts(r *Repository) (found []Finding) {
	patterns := map[string][]string{} // folder → patterns, relative to the root
	r.written(func(p *Package, f *File) {
		for _, group := range f.Syntax.Comments {
			for _, c := range group.List {
				list, ok := strings.CutPrefix(c.Text, "//go:embed ")
				if !ok {
					continue
				}
				for _, pattern := range strings.Fields(list) {
					patterns[p.Dir] = append(patterns[p.Dir], path.Join(p.Dir, strings.Trim(pattern, `"`)))
				}
			}
		}
	})
	for _, p := range r.Paths {
		if path.Ext(p) != ".lua" {
			continue
		}
		dir := path.Dir(p)
		if !matches(p, patterns[dir]) && !matches(p, patterns[path.Dir(dir)]) {
			found = append(found, Finding{Path: p, Message: "no Go file embeds it"})
		}
		b, err := fs.ReadFile(r.FS, p)
		if err != nil {
			return []Finding{{Path: p, Message: fmt.Sprintf("cannot read it: %v", err)}}
		}
		if !strings.HasPrefix(string(b), "--") {
			found = append(found, Finding{Path: p, Line: 1, Message: "must open with a comment: what changes atomically, its keys and arguments, its answers"})
		}
	}
	return found
}

func matches(p string, patterns []string) bool {
	for _, pattern := range patterns {
		if ok, _ := path.Match(pattern, p); ok || within(p, pattern) {
			return true
		}
	}
	return false
}
