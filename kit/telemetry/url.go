package telemetry

import (
	"net/url"
	"strings"
)

const (
	// redacted stands for what is hidden of a URL.
	redacted = "REDACTED"
	// leastSecret is how long a value of a query is, in bytes, that Scrubbed looks for by itself: shorter ones are words that
	// a text may have anyway.
	leastSecret = 8
)

// Redacted is a URL without its user and password and without its query, which signs the URLs of object stores: for spans,
// logs, errors and what is shown to people. Its fragment, a checksum, stays. Of what cannot be parsed all goes that is before
// the last @.
func Redacted(raw string) string {
	if !strings.ContainsAny(raw, "@?") {
		return raw
	}
	if _, err := url.Parse(raw); err != nil {
		if scheme, after, ok := strings.Cut(raw, "//"); ok && strings.Contains(after, "@") {
			raw = scheme + "//" + redacted + after[strings.LastIndex(after, "@"):]
		}
	}
	rest, fragment := raw, ""
	if at := strings.Index(raw, "#"); at >= 0 {
		rest, fragment = raw[:at], raw[at:]
	}
	if before, query, ok := strings.Cut(rest, "?"); ok && query != "" {
		rest = before + "?" + redacted
	}
	scheme, after, ok := strings.Cut(rest, "//")
	if !ok {
		if !strings.Contains(rest, "@") {
			return rest + fragment
		}
		scheme, _, _ = strings.Cut(rest, ":")
		return scheme + ":" + redacted
	}
	authority, path := after, ""
	if at := strings.IndexAny(after, "/?"); at >= 0 {
		authority, path = after[:at], after[at:]
	}
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		authority = redacted + authority[at:]
	}
	return scheme + "//" + authority + path + fragment
}

// Scrubbed is what others, a server or a program, said of a URL, without what Redacted hides of it.
func Scrubbed(text, raw string) string {
	text = strings.ReplaceAll(text, raw, Redacted(raw))
	u, err := url.Parse(raw)
	if err != nil {
		return text
	}
	var secrets []string
	if u.User != nil {
		text = strings.ReplaceAll(text, u.User.String()+"@", redacted+"@")
		password, _ := u.User.Password()
		_, written, _ := strings.Cut(u.User.String(), ":")
		secrets = append(secrets, password, written)
		if password == "" { // a token
			secrets = append(secrets, u.User.Username())
		}
	}
	secrets = append(secrets, u.RawQuery)
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, written, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(written)
		for _, secret := range []string{written, value} {
			if err == nil && len(secret) >= leastSecret {
				secrets = append(secrets, secret)
			}
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return text
}
