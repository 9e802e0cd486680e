package check

import (
	"fmt"
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// backoffDir is the one package outside the standard library that a core imports. It is held to the same rule.
const backoffDir = "kit/backoff"

// cores are the folders whose packages are pure: (state, event, now) → (state, effects, reason).
func cores() []string {
	return []string{
		"svc-master/fleet",
		"svc-scheduler/agenda",
		"svc-node/converge",
		"svc-node/supervise",
		"svc-node/profile",
		"svc-promise/verdict",
		backoffDir,
	}
}

// purePackages are the packages of the standard library that neither read a clock nor do I/O nor keep state between calls.
// time is here for Time and Duration; its clock is banned by impureCalls.
func purePackages() []string {
	return []string{
		"bytes", "cmp", "container/heap", "container/list", "crypto/md5", "crypto/sha256", "encoding/base32", "encoding/base64",
		"encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "hash", "hash/fnv", "iter", "maps", "math", "math/bits",
		"net/netip", "net/url", "path", "regexp", "slices", "sort", "strconv", "strings", "text/scanner", "time", "unicode",
		"unicode/utf8",
	}
}

// impureCalls are the functions of pure packages that are not.
func impureCalls() map[string][]string {
	return map[string][]string{
		"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "LoadLocation"},
		"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	}
}

func coreOf(dir string) string {
	for _, c := range cores() {
		if within(dir, c) {
			return c
		}
	}
	return ""
}

// pureCores bans from cores everything that is not a function of its arguments: other imports than the listed ones, the
// clock, printing, goroutines and channels. Tests of a core may import what they like; a core of svc-node may use the core
// of svc-promise, which evaluates promises when svc-promise is away.
func pureCores(r *Repository) (found []Finding) {
	r.written(func(p *Package, f *File) {
		core := coreOf(p.Dir)
		if core == "" || f.Test {
			return
		}
		called := map[string]string{} // the name by which the file calls a package → its import path
		for _, spec := range f.Syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			called[imported] = imported
			if spec.Name != nil {
				called[spec.Name.Name] = imported
			}
			dir, ours := strings.CutPrefix(imported, ModulePrefix+"/")
			switch {
			case slices.Contains(purePackages(), imported):
			case ours && within(dir, core):
			case ours && dir == backoffDir:
			case ours && dir == verdictDir && strings.HasPrefix(core, "svc-node/"):
			default:
				found = append(found, Finding{f.Path, f.Line(spec.Pos()), fmt.Sprintf("a core cannot import %s: only pure packages of the standard library and %s", imported, backoffDir)})
			}
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found = append(found, Finding{f.Path, f.Line(n.Pos()), "a core cannot start a goroutine: return an effect"})
			case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
				found = append(found, Finding{f.Path, f.Line(n.Pos()), "a core cannot use channels: it is called by one goroutine at a time"})
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impureCalls()[called[x.Name]], n.Sel.Name) {
					found = append(found, Finding{f.Path, f.Line(n.Pos()), fmt.Sprintf("a core cannot call %s.%s: time is an argument, effects are returned", called[x.Name], n.Sel.Name)})
				}
			}
			return true
		})
	})
	return found
}
