package check

import (
	"go/ast"
	"strings"
)

// sleepers bans time.Sleep, except in tests of virtual time: there it is how time passes, and nothing waits. The linter cannot see which time it is; a file that imports testing/synctest, or a package below
// virtualDir, whose every test runs in a bubble, has virtual time.
func sleepers(r *Repository) (found []Finding) {
	const virtualDir = "sim/fleet"
	r.written(func(p *Package, f *File) {
		if within(p.Dir, virtualDir) || (strings.HasSuffix(f.Path, "_test.go") && packageImports(p, "testing/synctest")) {
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok || call.Sel.Name != "Sleep" {
				return true
			}
			if of, ok := call.X.(*ast.Ident); ok && of.Name == "time" {
				found = append(found, Finding{f.Path, f.Line(n.Pos()), "cannot sleep: wait for a signal, or for a timer that Stop can end; in tests use testing/synctest"})
			}
			return true
		})
	})
	return found
}

// packageImports reports whether a file of a package imports a path.
func packageImports(p *Package, path string) bool {
	for _, f := range p.Files {
		for _, spec := range f.Syntax.Imports {
			if spec.Path.Value == `"`+path+`"` {
				return true
			}
		}
	}
	return false
}
