package check

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// verdictDir is the core of svc-promise, the one package that crosses from service to service: svc-node evaluates with it.
const verdictDir = "svc-promise/verdict"

// services are the modules that own data. Others get at it through their RPCs, never through their code.
func services() []string {
	return []string{"svc-master", "svc-scheduler", "svc-node", "svc-promise"}
}

// mayImport lists which modules of this repository a module may import beside itself. A module that is not listed (tools/…)
// may import none.
func mayImport() map[string][]string {
	everything := append([]string{"gen", "kit"}, services()...)
	return map[string][]string{
		"gen":           {},
		"kit":           {},
		"svc-master":    {"gen", "kit"},
		"svc-scheduler": {"gen", "kit"},
		"svc-node":      {"gen", "kit"}, // and verdictDir
		"svc-promise":   {"gen", "kit"},
		"vow":           append([]string{"console", "examples"}, everything...),
		"sim":           everything,
		"bench":         append([]string{"vow", "sim"}, everything...),
		"console":       {"gen", "kit"}, // a client of the generated API like any other
		"examples":      {"gen", "kit"}, // what other services would import
	}
}

// eachImport calls do for every import of every written file: imported is the import path, dir its folder when it is ours.
func (r *Repository) eachImport(do func(p *Package, f *File, line int, imported, dir string)) {
	r.written(func(p *Package, f *File) {
		for _, spec := range f.Syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			dir, ours := strings.CutPrefix(imported, ModulePrefix+"/")
			if !ours {
				dir = ""
			}
			do(p, f, f.Line(spec.Pos()), imported, dir)
		}
	})
}

// moduleImports keeps gen and kit leaves, and services strangers to each other.
func moduleImports(r *Repository) (found []Finding) {
	r.eachImport(func(p *Package, f *File, line int, imported, dir string) {
		if dir == "" {
			return
		}
		from, _, _ := strings.Cut(p.Dir, "/")
		to, _, _ := strings.Cut(dir, "/")
		switch {
		case from == to:
		case from == "svc-node" && dir == verdictDir:
		case slices.Contains(mayImport()[from], to):
		default:
			found = append(found, Finding{f.Path, line, fmt.Sprintf("%s cannot import %s: it may import %s", from, imported, allowed(from))})
		}
	})
	return found
}

func allowed(module string) string {
	list := mayImport()[module]
	if len(list) == 0 {
		return "nothing else of this repository"
	}
	return strings.Join(list, ", ") + " only"
}

// rpcImports keeps the RPC libraries at the edges: kit/rpc and the internal/api of each module translate, everything else
// speaks the domain. Tests may dial; examples show what other services write.
func rpcImports(r *Repository) (found []Finding) {
	r.eachImport(func(p *Package, f *File, line int, imported, _ string) {
		if !rpcLibrary(imported) || f.Test || within(p.Dir, "kit/rpc") || within(p.Dir, "gen") || within(p.Dir, "examples") {
			return
		}
		module, rest, _ := strings.Cut(p.Dir, "/")
		if within(rest, "internal/api") {
			return
		}
		found = append(found, Finding{f.Path, line, fmt.Sprintf("cannot import %s here: only kit/rpc and %s/internal/api may", imported, module)})
	})
	return found
}

func rpcLibrary(imported string) bool {
	return within(imported, "connectrpc.com/connect") || within(imported, "google.golang.org/grpc")
}

// supervisorImports walks what svc-node/cmd/vow-supervisor imports, within this repository, and bans RPC, telemetry and
// generated code from all of it: the supervisor outlives every upgrade, so it stays small.
func supervisorImports(r *Repository) (found []Finding) {
	const root = "svc-node/cmd/vow-supervisor"
	reached := map[string]bool{root: true}
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		i := slices.IndexFunc(r.Packages, func(p *Package) bool { return p.Dir == queue[0] })
		if i < 0 {
			continue
		}
		for _, f := range r.Packages[i].Files {
			if f.Test {
				continue
			}
			for _, spec := range f.Syntax.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if rpcLibrary(imported) || within(imported, "go.opentelemetry.io") || within(imported, "google.golang.org/protobuf") {
					found = append(found, Finding{f.Path, f.Line(spec.Pos()), fmt.Sprintf("cannot import %s: %s links this package", imported, path.Base(root))})
				}
				if dir, ours := strings.CutPrefix(imported, ModulePrefix+"/"); ours && !reached[dir] {
					reached[dir] = true
					queue = append(queue, dir)
				}
			}
		}
	}
	return found
}
