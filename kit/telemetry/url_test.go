package telemetry_test

import (
	"strings"
	"testing"

	"github.com/vow-os/vow/kit/telemetry"
)

func TestAShownURLHasNeitherUserNorPasswordNorQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"https://token@host/a.tar.gz#sha256=00":           "https://REDACTED@host/a.tar.gz#sha256=00",
		"https://user:p%40ss@host:8443/a@b?c=d@e":         "https://REDACTED@host:8443/a@b?REDACTED",
		"https://host/a?X-Amz-Signature=secret#sha256=00": "https://host/a?REDACTED#sha256=00",
		"https://host?token=secret":                       "https://host?REDACTED",
		"https://user:p?ss@host/a":                        "https://REDACTED@host/a",
		"https://host/a#b?c@d":                            "https://host/a#b?c@d",
		"https://host/a?":                                 "https://host/a?",
		"mailto:user@host":                                "mailto:REDACTED",
		"file:///a?b":                                     "file:///a?REDACTED",
		"https://user:p@ss@host/a":                        "https://REDACTED@host/a",
		"https://user:\x7fsecret@host/a":                  "https://REDACTED@host/a",
		"https://host/a@b":                                "https://host/a@b",
		"file:///opt/releases/hello":                      "file:///opt/releases/hello",
		"":                                                "",
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

func TestWhatOthersSaidOfAURLIsScrubbed(t *testing.T) {
	const raw = "https://user:p%40ssword@host/a?X-Amz-Signature=s3cr%2Ft-value&n=1#sha256=00"
	for _, text := range []string{
		"cannot read " + raw, "cannot read https://user:p%40ssword@host/a?X-Amz-Signature=s3cr%2Ft-value&n=1", `Get "https://host/a?X-Amz-Signature=s3cr%2Ft-value&n=1": EOF`,
		"wrong password p@ssword of user", "the signature s3cr/t-value is too old", "the query X-Amz-Signature=s3cr%2Ft-value&n=1 is refused",
	} {
		got := telemetry.Scrubbed(text, raw)
		for _, secret := range []string{"ssword", "s3cr", "t-value"} {
			if strings.Contains(strings.ReplaceAll(got, "wrong password", ""), secret) {
				t.Errorf("%q is scrubbed to %q", text, got)
			}
		}
	}
	for raw, text := range map[string]string{"https://host/a?n=1": "1 of 10 files", "https://host/a": "a host", "file:///a": "a: no such file"} {
		if got := telemetry.Scrubbed(text, raw); got != text {
			t.Errorf("of %s, %q becomes %q", raw, text, got)
		}
	}
	if got := telemetry.Scrubbed("bad token t0ken", "https://t0ken@host/a"); got != "bad token REDACTED" {
		t.Errorf("a token alone: %q", got)
	}
}
