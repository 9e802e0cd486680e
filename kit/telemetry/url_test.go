package telemetry_test

import (
	"strings"
	"testing"

	"github.com/vow-os/vow/kit/telemetry"
)

func TestAShownURLHasNeitherUserNorPassword(t *testing.T) {
	for raw, want := range map[string]string{
		"https://token@host/a.tar.gz#sha256=00":   "https://REDACTED@host/a.tar.gz#sha256=00",
		"https://user:p%40ss@host:8443/a@b?c=d@e": "https://REDACTED@host:8443/a@b?c=d@e",
		"https://user:p@ss@host/a":                "https://REDACTED@host/a",
		"https://user:\x7fsecret@host/a":          "https://REDACTED@host/a",
		"https://host/a@b":                        "https://host/a@b",
		"file:///opt/releases/hello":              "file:///opt/releases/hello",
		"":                                        "",
	} {
		got := telemetry.Redacted(raw)
		if got != want {
			t.Errorf("%q is shown as %q, want %q", raw, got, want)
		}
		if strings.Contains(got, "secret") || strings.Contains(got, "ss@host") {
			t.Errorf("%q is shown as %q", raw, got)
		}
	}
}
