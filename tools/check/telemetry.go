package check

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
)

// convDir declares every telemetry name; telemetryDir may spell them in its own tests' expectations no more than others.
const convDir = "kit/telemetry/conv"

var (
	telemetryName = regexp.MustCompile(`^vow\.[a-z]`)
	// contractName is a package, service or file of the contract, which starts with the same word.
	contractName = regexp.MustCompile(`^vow\.(type|master|scheduler|node|promise|store|test)(\.v1|$)`)
	// fileName is a file that vow writes (vow.sock); no telemetry name ends in one of these.
	fileName = regexp.MustCompile(`^vow\.(sock|pid|lock|log|json|ya?ml|toml|rdb|aof|conf)$`)
)

// telemetryNames bans the spelling of a telemetry name outside kit/telemetry/conv, in tests too: a renamed attribute must be
// one change.
func telemetryNames(r *Repository) (found []Finding) {
	r.written(func(p *Package, f *File) {
		if within(p.Dir, convDir) || within(p.Dir, "tools") {
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, err := strconv.Unquote(lit.Value)
			if err == nil && telemetryName.MatchString(s) && !contractName.MatchString(s) && !fileName.MatchString(s) {
				found = append(found, Finding{f.Path, f.Line(lit.Pos()), fmt.Sprintf("cannot spell %q here: use the name declared in %s", s, convDir)})
			}
			return true
		})
	})
	return found
}
