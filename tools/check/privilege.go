package check

import (
	"go/ast"
	"path"
	"strings"
)

// asOthers bans what leaves the thread from functions that package privilege calls as a partition's user (`user.Do(func() error {…})`): a goroutine or a
// process that they start is root again. It looks at the function, and at what it calls in its own package, by name.
func asOthers(r *Repository) (found []Finding) {
	const service, machinery = "svc-node", "svc-node/internal/privilege"
	r.written(func(p *Package, f *File) {
		if f.Test || !within(p.Dir, service) || within(p.Dir, machinery) {
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || method.Sel.Name != "Do" {
				return true
			}
			if what := leaves(p, call.Args[0], map[string]bool{}); what != "" {
				found = append(found, Finding{f.Path, f.Line(call.Pos()), "cannot " + what + " as a partition's user: that would be root again; do it in the function itself, or use User.Start"})
			}
			return true
		})
	})
	return found
}

// leaves says how a function leaves its thread; empty = it does not, or is none that is called as somebody else.
func leaves(p *Package, fn ast.Expr, seen map[string]bool) string {
	switch fn := fn.(type) {
	case *ast.FuncLit:
		if results := fn.Type.Results; results != nil && len(results.List) == 1 { // sync.Once has none
			return leaving(p, fn.Body, seen)
		}
	case *ast.Ident:
		return named(p, fn.Name, seen)
	case *ast.SelectorExpr:
		return named(p, fn.Sel.Name, seen)
	}
	return ""
}

// named is leaving of the functions and methods of a package that have a name.
func named(p *Package, name string, seen map[string]bool) (how string) {
	if seen[name] {
		return ""
	}
	seen[name] = true
	for _, f := range p.Files {
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && !f.Test && fn.Name.Name == name && fn.Body != nil && how == "" {
				how = leaving(p, fn.Body, seen)
			}
		}
	}
	return how
}

func leaving(p *Package, body ast.Node, seen map[string]bool) (how string) {
	ast.Inspect(body, func(n ast.Node) bool {
		if how != "" {
			return false
		}
		switch n := n.(type) {
		case *ast.GoStmt:
			how = "start a goroutine"
		case *ast.CallExpr:
			switch fn := n.Fun.(type) {
			case *ast.Ident:
				how = named(p, fn.Name, seen)
			case *ast.SelectorExpr:
				of, _ := fn.X.(*ast.Ident)
				switch {
				case fn.Sel.Name == "Go":
					how = "start a goroutine"
				case of != nil && of.Name == "exec" && (fn.Sel.Name == "Command" || fn.Sel.Name == "CommandContext"), of != nil && of.Name == "os" && fn.Sel.Name == "StartProcess":
					how = "start a process"
				case of == nil || !imports(p, of.Name): // a method, maybe of the package
					how = named(p, fn.Sel.Name, seen)
				}
			}
		}
		return how == ""
	})
	return how
}

// imports tells whether a name is that of a package that some file of a package imports.
func imports(p *Package, name string) bool {
	for _, f := range p.Files {
		for _, spec := range f.Syntax.Imports {
			if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(strings.Trim(spec.Path.Value, `"`)) == name {
				return true
			}
		}
	}
	return false
}
