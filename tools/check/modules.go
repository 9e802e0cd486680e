package check

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/mod/modfile"
)

// outsiders are example programs of others: outside the workspace on purpose.
const outsiders = "examples/clients"

// siblingModules wants each module of this repository required as v0.0.0 with a relative replace, and every module at the
// root's first level listed in go.work: the workspace, GOWORK=off and an image build all need exactly that. Two modules
// that require the same library directly require the same version, so that both worlds build the same code.
func siblingModules(r *Repository) (found []Finding) {
	workspace := map[string]bool{}
	if b, err := fs.ReadFile(r.FS, "go.work"); err == nil {
		w, err := modfile.ParseWork("go.work", b, nil)
		if err != nil {
			return []Finding{{Path: "go.work", Message: fmt.Sprintf("cannot parse it: %v", err)}}
		}
		for _, u := range w.Use {
			workspace[path.Clean(u.Path)] = true
		}
	}
	type pin struct{ version, in string }
	pins := map[string]pin{}
	for _, p := range r.Paths {
		if path.Base(p) != "go.mod" {
			continue
		}
		dir := path.Dir(p)
		b, err := fs.ReadFile(r.FS, p)
		if err != nil {
			return []Finding{{Path: p, Message: fmt.Sprintf("cannot read it: %v", err)}}
		}
		m, err := modfile.Parse(p, b, nil)
		if err != nil {
			found = append(found, Finding{Path: p, Message: fmt.Sprintf("cannot parse it: %v", err)})
			continue
		}
		if m.Module == nil || m.Module.Mod.Path != ModulePrefix+"/"+dir {
			found = append(found, Finding{Path: p, Message: fmt.Sprintf("the module must be called %s/%s", ModulePrefix, dir)})
		}
		tool := within(dir, "tools") || dir == outsiders
		if !tool && !workspace[dir] {
			found = append(found, Finding{Path: "go.work", Message: fmt.Sprintf("the workspace does not use ./%s", dir)})
		}
		replaced := map[string]string{}
		for _, rep := range m.Replace {
			replaced[rep.Old.Path] = rep.New.Path
		}
		for _, req := range m.Require {
			line := req.Syntax.Start.Line
			sibling, ours := strings.CutPrefix(req.Mod.Path, ModulePrefix+"/")
			if ours {
				want := strings.Repeat("../", strings.Count(dir, "/")+1) + sibling
				if req.Mod.Version != "v0.0.0" || replaced[req.Mod.Path] != want {
					found = append(found, Finding{p, line, fmt.Sprintf("require %s v0.0.0 and replace it by %s", req.Mod.Path, want)})
				}
				continue
			}
			if tool || req.Indirect {
				continue
			}
			if first, ok := pins[req.Mod.Path]; ok && first.version != req.Mod.Version {
				found = append(found, Finding{p, line, fmt.Sprintf("requires %s %s, but %s requires %s", req.Mod.Path, req.Mod.Version, first.in, first.version)})
			} else if !ok {
				pins[req.Mod.Path] = pin{req.Mod.Version, p}
			}
		}
	}
	return found
}

// serviceShape lets a service have its cores, app, internal and cmd, and nothing else that another module could import.
func serviceShape(r *Repository) (found []Finding) {
	for _, p := range r.Packages {
		module, rest, _ := strings.Cut(p.Dir, "/")
		if !isService(module) || coreOf(p.Dir) != "" {
			continue
		}
		if !within(rest, "app") && !within(rest, "internal") && !within(rest, "cmd") {
			found = append(found, Finding{Path: p.Dir, Message: "a service exports its pure core and app: move this package to internal/ or cmd/"})
		}
	}
	return found
}

func isService(module string) bool {
	for _, s := range services() {
		if s == module {
			return true
		}
	}
	return false
}
