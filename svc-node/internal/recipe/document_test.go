package recipe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vow-os/vow/kit/golden"
)

// document is docs/recipes.md.
func (r *Registry) document() string {
	var b strings.Builder
	b.WriteString("# Recipes\n\nThe recipes that are built in, with the options they read and those they set for other sections to refer to.\n" +
		"Generated from svc-node/internal/recipe by `go test -update`; change the code, not this file.\n\n" +
		"In every recipe an empty option is no option, and further options may be written and referred to.\n" +
		"A recipe that is not listed is an error that names it, its section and its place.\n")
	for _, recipe := range r.all {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", recipe.Name, recipe.Summary)
		if len(recipe.Aliases) > 0 {
			fmt.Fprintf(&b, "\nAlso called %s.\n", strings.Join(recipe.Aliases, ", "))
		}
		if len(recipe.Options) > 0 {
			b.WriteString("\n| option | default | meaning |\n|---|---|---|\n")
			for _, o := range recipe.Options {
				otherwise := o.Default
				if o.Required {
					otherwise = "*required*"
				}
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.Name, otherwise, o.Text)
			}
		}
		if len(recipe.Provides) > 0 {
			b.WriteString("\n| sets | meaning |\n|---|---|\n")
			for _, o := range recipe.Provides {
				fmt.Fprintf(&b, "| `%s` | %s |\n", o.Name, o.Text)
			}
		}
	}
	return b.String()
}

// docs/recipes.md is what the code says.
func TestTheDocumentIsWhatTheCodeSays(t *testing.T) {
	golden.Compare(t, "../../../docs/recipes.md", Recipes().document())
}
