package builtin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/golden"
)

// document is docs/sensors.md.
func document() string {
	var b strings.Builder
	b.WriteString("# Built-in sensors\n\nThe sensors that svc-node has in itself: `etc/plugin/<name>.json` declares one, " +
		"and a `slapos.cookbook:promise.plugin` section that names the module of the same name gets it ([built-in promises](promises-builtin.md)).\n" +
		"Generated from svc-node/internal/sensor/builtin by `go test -update`; change the code, not this file.\n\n" +
		"In every sensor an empty value is no value, and an unknown key is told in each group. A value that cannot be used makes each group fail.\n" +
		"\n## What all of them read\n\n")
	table(&b, common)
	for _, s := range Sensors() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\nPeriod: %s. Windows: %s.\n\n", s.Name, s.Summary, minutes(s.Period), s.Windows)
		table(&b, s.Options)
		fmt.Fprintf(&b, "\n```json\n{\"sensor\": %q, \"config\": %s}\n```\n", s.Name, s.Example)
	}
	return b.String()
}

func table(b *strings.Builder, options []Option) {
	b.WriteString("| config | default | meaning |\n|---|---|---|\n")
	for _, o := range options {
		otherwise := o.Default
		if o.Required {
			otherwise = "*required*"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", o.Name, otherwise, o.Text)
	}
}

func minutes(d time.Duration) string {
	if d == time.Minute {
		return "1 minute"
	}
	return fmt.Sprintf("%g minutes", d.Minutes())
}

func TestTheDocumentIsWhatTheCodeSays(t *testing.T) {
	golden.Compare(t, "../../../../docs/sensors.md", document())
}
