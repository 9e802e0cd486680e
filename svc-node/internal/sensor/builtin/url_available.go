package builtin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

const (
	// maxRedirects is how many redirects are followed, as Python's requests does.
	maxRedirects = 30
	// maxBody is how much of an answer is read in bytes before the connection is closed: what is asked is whether it answers.
	maxBody = 64 << 10
)

// urlAvailable is check_url_available.
func urlAvailable() Sensor {
	return Sensor{
		Name:    "check_url_available",
		Summary: "Fails unless an HTTP GET of a URL answers with the code expected.",
		Example: `{"url": "http://127.0.0.1:8080/", "http-code": 200}`,
		Options: []Option{
			{Name: "url", Text: "The URL, http or https."},
			{Name: "http-code", Default: "200", Text: "Code expected, after redirects."},
			{Name: "ignore-code", Default: "0", Text: "1: any code will do."},
			{Name: "timeout", Default: "5", Text: "Seconds; the default is one less than the promise's time-out, 1 to 5."},
			{Name: "verify", Default: "0", Text: "1: the server's certificate is verified with the system's authorities."},
			{Name: "ca-cert-file", Text: "Path of the authorities' certificates in PEM; the server's is verified with them. Read as the partition's user."},
			{Name: "cert-file", Text: "Path of a client certificate in PEM; with `key-file`."},
			{Name: "key-file", Text: "Path of its key."},
			{Name: "username", Text: "Basic authentication; with `password`."},
			{Name: "password", Text: "Its password. It is never told."},
			{Name: "allow-redirects", Default: "1", Text: "0: a redirect's own code counts."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly 3 of 3, bangs",
		prepare: func(c *Config) Check {
			g := get{
				url: c.Text("url", ""), code: c.Int("http-code", 200), ignore: c.Bool("ignore-code", false),
				timeout: time.Duration(c.Int("timeout", 0)) * time.Second, verify: c.Bool("verify", false), authority: c.Text("ca-cert-file", ""),
				certificate: c.Text("cert-file", ""), key: c.Text("key-file", ""), user: c.Text("username", ""), password: c.values["password"],
				redirects: c.Bool("allow-redirects", true),
			}
			if g.timeout < 0 {
				c.problem("timeout", "is above 0 seconds")
			}
			return Check{Anomaly: Rule{ResultCount: 3, FailureAmount: 3}, sense: g.sense}
		},
	}
}

// get is one configured request.
type get struct {
	url              string
	code             int
	ignore           bool
	timeout          time.Duration
	verify           bool
	authority        string
	certificate, key string
	user, password   string
	redirects        bool
}

func (g get) sense(ctx context.Context, s *Sensing) {
	timeout := g.timeout
	if timeout == 0 {
		timeout = max(time.Second, min(5*time.Second, s.Timeout-time.Second))
	}
	if problem := invalidURL(g.url); problem != "" {
		s.error("ERROR: Invalid URL %s: %s", pythontext.Quote(g.url), problem)
		return
	}
	settings, err := g.tls(s)
	if err != nil {
		s.error("ERROR: %v", err)
		return
	}
	var connected atomic.Bool // to the last host: the end of the time is told alike before and after
	transport := &http.Transport{
		TLSClientConfig: settings, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: false,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connected.Store(false)
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			connected.Store(err == nil)
			return conn, err
		},
	}
	client := http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		switch {
		case !g.redirects:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects:
			return fmt.Errorf("Exceeded %d redirects.", maxRedirects) //nolint:staticcheck,revive // the original's words
		}
		return nil
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		s.error("ERROR: %v", err)
		return
	}
	request.Header.Set("User-Agent", "vow")
	request.Header.Set("Accept", "*/*")
	kind := "non-authenticated"
	if g.user != "" && g.password != "" {
		kind = "authenticated"
		request.SetBasicAuth(g.user, g.password)
	}
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		s.error("%s", g.failure(err, timeout, connected.Load()))
		return
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxBody) // a body that breaks off does not change the code
	response.Body.Close()
	s.value(time.Since(began).Seconds())
	switch {
	case g.ignore:
		s.info("%s request to %s succeeded (return code ignored)", kind, pythontext.Quote(g.url))
	case response.StatusCode == g.code:
		s.info("%s request to %s succeeded (returned expected code %d)", kind, pythontext.Quote(g.url), g.code)
	default:
		s.error("%s request to %s failed (returned %d, expected %d)", kind, pythontext.Quote(g.url), response.StatusCode, g.code)
	}
}

// tls is what the configuration says of certificates.
func (g get) tls(s *Sensing) (*tls.Config, error) {
	settings := &tls.Config{InsecureSkipVerify: !g.verify && g.authority == "", MinVersion: tls.VersionTLS12} //nolint:gosec // the original's default
	read := func(path string) (content []byte, err error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Directory, path)
		}
		err = s.asUser(func() (err error) { content, err = readHead(path, maxPEM); return err })
		if err != nil {
			return nil, errors.New(fileError(err, path))
		}
		return content, nil
	}
	if g.authority != "" {
		content, err := read(g.authority)
		if err != nil {
			return nil, fmt.Errorf("Could not find a suitable TLS CA certificate bundle, invalid path: %s: %w", g.authority, err) //nolint:staticcheck // the original's words
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("no certificate in PEM in %s", g.authority)
		}
	}
	if g.certificate != "" && g.key != "" {
		certificate, err := read(g.certificate)
		if err != nil {
			return nil, err
		}
		key, err := read(g.key)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// failure tells why there is no answer, as the original does.
func (g get) failure(err error, timeout time.Duration, connected bool) string {
	cause := err
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		cause = wrapped.Err
	}
	record, notTLS := errors.AsType[tls.RecordHeaderError](err)
	alert, alerted := errors.AsType[tls.AlertError](err)
	late, isNet := errors.AsType[net.Error](err)
	switch {
	case isCertificateError(err):
		return fmt.Sprintf("ERROR SSL error while accessing %s: certificate verify failed: %v", pythontext.Quote(g.url), cause)
	case notTLS:
		return fmt.Sprintf("ERROR SSL error while accessing %s: %v", pythontext.Quote(g.url), record)
	case alerted:
		return fmt.Sprintf("ERROR SSL error while accessing %s: %v", pythontext.Quote(g.url), alert)
	case connected && isNet && late.Timeout():
		return fmt.Sprintf("ERROR: Read timed out. (read timeout=%d)", int(timeout.Seconds()))
	case strings.HasPrefix(cause.Error(), "Exceeded "):
		return "ERROR: " + cause.Error()
	}
	return "ERROR connection not possible while accessing " + pythontext.Quote(g.url)
}

// invalidURL says what is wrong with a URL, in the original's words; empty = nothing.
func invalidURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme == "":
		return "No scheme supplied. Perhaps you meant https://" + text + "?"
	case u.Scheme != "http" && u.Scheme != "https":
		return "No connection adapters were found"
	case u.Hostname() == "":
		return "No host supplied"
	}
	return ""
}
