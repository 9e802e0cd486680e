package check

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// mentionsImport matches "may import it", "svc-node uses it", "its only user", "used by".
var mentionsImport = regexp.MustCompile(`(?i)\b(import|use[sdr]?\b)`)

// packageDocs wants a doc.go in every package, whose comment starts "Package <name>" and says who may import it. The
// comment of a command may sit in its main.go.
func packageDocs(r *Repository) (found []Finding) {
	for _, p := range r.Packages {
		if p.Generated() {
			continue
		}
		var comment, in string
		for _, f := range p.Files {
			base := path.Base(f.Path)
			if f.Syntax.Doc != nil && (base == "doc.go" || base == "main.go" && p.Name == "main") {
				comment, in = f.Syntax.Doc.Text(), f.Path
			}
		}
		switch {
		case comment == "":
			found = append(found, Finding{Path: p.Dir, Message: "cannot find a package comment: add a doc.go with purpose, invariants and who may import it"})
		case p.Name == "main":
		case !strings.HasPrefix(comment, "Package "+p.Name+" "):
			found = append(found, Finding{Path: in, Message: fmt.Sprintf("the comment must start %q", "Package "+p.Name+" ")})
		case !mentionsImport.MatchString(comment):
			found = append(found, Finding{Path: in, Message: "the comment must say who may import the package"})
		}
	}
	return found
}

// readmeMap wants every top-level folder in README.md, written `name/`.
func readmeMap(r *Repository) []Finding {
	readme, err := fs.ReadFile(r.FS, "README.md")
	if err != nil {
		return []Finding{{Path: "README.md", Message: "cannot read it: the README maps the folders"}}
	}
	var found []Finding
	seen := map[string]bool{}
	for _, p := range r.Paths {
		dir, _, nested := strings.Cut(p, "/")
		if !nested || seen[dir] {
			continue
		}
		seen[dir] = true
		if !regexp.MustCompile(`(^|[\s` + "`" + `(|])` + regexp.QuoteMeta(dir) + `/`).Match(readme) {
			found = append(found, Finding{Path: "README.md", Message: fmt.Sprintf("the map of the folders does not name %s/", dir)})
		}
	}
	return found
}

// indexes wants every page and every decision record in the index beside it.
func indexes(r *Repository) (found []Finding) {
	for _, dir := range []string{"docs", "docs/decisions"} {
		index, _ := fs.ReadFile(r.FS, dir+"/README.md")
		for _, p := range r.Paths {
			name := path.Base(p)
			if path.Dir(p) != dir || path.Ext(name) != ".md" || name == "README.md" {
				continue
			}
			if !strings.Contains(string(index), "]("+name+")") {
				found = append(found, Finding{Path: p, Message: dir + "/README.md does not list it"})
			}
		}
	}
	return found
}
