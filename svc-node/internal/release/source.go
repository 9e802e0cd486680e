package release

import (
	"crypto/md5" //nolint:gosec // what SlapOS's profiles name; it tells accidents, not attackers
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/vow-os/vow/kit/telemetry"
)

// source is what the URL of a release names.
type source struct {
	// raw is the URL; shown is it without what is secret in it.
	raw, shown string
	// location is the URL without its fragment; path is what a file: URL names, else empty.
	location *url.URL
	path     string
	// profile says that it is a buildout profile; what is none is a directory or an archive.
	profile bool
	sum     checksum
}

// checksum is what the content of an archive or profile must have; the zero value is none.
type checksum struct {
	algorithm string
	want      []byte
	new       func() hash.Hash
}

// strong tells whether the checksum holds against somebody who changes the content on purpose.
func (c checksum) strong() bool { return c.algorithm == "sha256" || c.algorithm == "sha512" }

func (c checksum) given() bool { return c.algorithm != "" }

func parseSource(releaseURL string) (source, error) {
	s := source{raw: releaseURL, shown: telemetry.Redacted(releaseURL)}
	u, err := url.Parse(releaseURL)
	if err != nil {
		return s, errors.New("it is no URL")
	}
	if s.sum, err = parseChecksum(u.Fragment); err != nil {
		return s, err
	}
	location := *u
	location.Fragment, location.RawFragment = "", ""
	s.location = &location
	s.profile = strings.HasSuffix(u.Path, ".cfg")
	switch u.Scheme {
	case "file":
		if u.Opaque != "" || u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
			return s, errors.New("want file:///absolute/path")
		}
		s.path = filepath.Clean(u.Path)
	case "https", "http":
		if u.Hostname() == "" {
			return s, fmt.Errorf("want %s://host/path", u.Scheme)
		}
		if u.Scheme == "http" && !loopback(u) && !s.sum.strong() {
			return s, errors.New("want https:, or a checksum: http: to another machine is read only with #sha256=… or #sha512=…, since whoever is in between could change it")
		}
	default:
		return s, fmt.Errorf("want a URL of file:, https: or http:, not of %s", u.Scheme)
	}
	return s, nil
}

// parseChecksum reads the fragment of a URL.
func parseChecksum(fragment string) (checksum, error) {
	if fragment == "" {
		return checksum{}, nil
	}
	algorithm, digits, _ := strings.Cut(fragment, "=")
	c := checksum{algorithm: algorithm}
	switch algorithm {
	case "sha256":
		c.new = sha256.New
	case "sha512":
		c.new = sha512.New
	case "md5":
		c.new = md5.New
	default:
		return c, fmt.Errorf("its fragment is %q: want #sha256=…, #sha512=… or #md5=…", "#"+fragment)
	}
	var err error
	if c.want, err = hex.DecodeString(digits); err != nil || len(c.want) != c.new().Size() {
		return c, fmt.Errorf("the checksum %q has to be %d hexadecimal digits", "#"+fragment, 2*c.new().Size())
	}
	return c, nil
}

// loopback tells whether a URL names this machine.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// scrub removes what is secret in the URL from what others said of it.
func (s source) scrub(text string) string { return telemetry.Scrubbed(text, s.raw) }
