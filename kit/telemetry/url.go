package telemetry

import (
	"net/url"
	"strings"
)

// redacted stands for the user and password of a URL.
const redacted = "REDACTED"

// Redacted is a URL without its user and password, for spans, logs, errors and what is shown to people. What cannot be
// parsed is cut at the last @ of its authority.
func Redacted(raw string) string {
	if !strings.Contains(raw, "@") {
		return raw
	}
	u, err := url.Parse(raw)
	if err == nil && u.User == nil && u.Opaque == "" {
		return raw
	}
	scheme, rest, ok := strings.Cut(raw, "//")
	if !ok {
		scheme, _, _ = strings.Cut(raw, ":")
		return scheme + ":" + redacted
	}
	authority, path := rest, ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		authority, path = rest[:at], rest[at:]
	}
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		authority = redacted + authority[at:]
	}
	return scheme + "//" + authority + path
}
