package check

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// globals bans init functions and package variables that can only be there to be changed: those declared without a value.
// Errors, tables and embedded files have a value (or a go:embed line) and pass. Wiring is by hand, in app, in dependency order.
func globals(r *Repository) (found []Finding) {
	r.written(func(_ *Package, f *File) {
		for _, decl := range f.Syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					found = append(found, Finding{f.Path, f.Line(d.Pos()), "cannot have an init function: wire it by hand in app"})
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, spec := range d.Specs {
					v := spec.(*ast.ValueSpec)
					if len(v.Values) > 0 || embedded(d.Doc) || embedded(v.Doc) {
						continue
					}
					found = append(found, Finding{f.Path, f.Line(v.Pos()), fmt.Sprintf("%s is global state: make it a field of what uses it", v.Names[0].Name)})
				}
			}
		}
	})
	return found
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// later matches the words with which people promise to come back. (They are spelled apart here: this file is checked too.)
var later = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

// leftovers bans promises to finish something later: a thing is done, or it is an issue, or it answers UNIMPLEMENTED and is
// listed in docs/. A test that is skipped must say why.
func leftovers(r *Repository) (found []Finding) {
	r.written(func(_ *Package, f *File) {
		for _, group := range f.Syntax.Comments {
			for _, c := range group.List {
				if word := later.FindString(c.Text); word != "" {
					found = append(found, Finding{f.Path, f.Line(c.Pos()), fmt.Sprintf("cannot leave a %s: do it, or write it down as an issue", word)})
				}
			}
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !f.Test {
				return true
			}
			if sel.Sel.Name == "SkipNow" || sel.Sel.Name == "Skip" && len(call.Args) == 0 {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "t" || x.Name == "b" || x.Name == "f" || x.Name == "tb") {
					found = append(found, Finding{f.Path, f.Line(call.Pos()), "cannot skip without a reason: say what is missing and how to get it"})
				}
			}
			return true
		})
	})
	return found
}
