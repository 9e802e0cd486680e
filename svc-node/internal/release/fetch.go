package release

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/svc-node/internal/archive"
)

const (
	maxRedirects      = 5
	maxHeader         = 64 << 10
	connectTimeout    = 10 * time.Second
	headerTimeout     = 30 * time.Second
	maxResumes        = 100
	leastResumed      = 64 << 10
	lastModifiedDelay = time.Minute
	// leastInStall is what has to come within Settings.Stall: one who sends a byte a minute would keep all other releases
	// waiting for ever.
	leastInStall = 16 << 10
)

// partialFile is a download that may be cut short at any moment, by anything, and be continued.
type partialFile struct {
	path string
	// Validator tells whether the server still has the same content: a strong ETag, or Last-Modified; empty = it cannot
	// be told.
	Validator string `json:"validator"`
}

func (p *partialFile) notes() string { return p.path + ".json" }

// load reads what is known of it, and its size. What has no notes begins anew.
func (p *partialFile) load() (have int64) {
	content, err := os.ReadFile(p.notes())
	if err != nil || json.Unmarshal(content, p) != nil {
		p.Validator = ""
		return 0
	}
	info, err := os.Lstat(p.path)
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// begin empties it and notes what it will hold.
func (p *partialFile) begin(validator string) error {
	if err := os.Truncate(p.path, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.Validator = validator
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return atomicfile.Write(p.notes(), content, 0o600)
}

// same tells whether a partial answer is of what is here already; there are servers that do not look at If-Range.
func (p *partialFile) same(response *http.Response) bool {
	switch etag, modified := response.Header.Get("ETag"), response.Header.Get("Last-Modified"); {
	case p.Validator == "":
		return true // its checksum tells
	case strings.HasPrefix(p.Validator, `"`):
		return etag == p.Validator
	default:
		return modified == "" || modified == p.Validator
	}
}

func (p *partialFile) remove() error {
	return errors.Join(os.RemoveAll(p.path), os.RemoveAll(p.notes()))
}

// client is made per installation: one request an hour keeps no connection.
func (r *Root) client() *http.Client {
	var way guard
	inside := &net.Dialer{Timeout: connectTimeout, ControlContext: way.control}
	outside := &net.Dialer{Timeout: connectTimeout} // to the proxies that the operator named
	var proxies sync.Map
	return &http.Client{
		Transport: &http.Transport{
			Proxy: func(request *http.Request) (*url.URL, error) {
				proxy, err := http.ProxyFromEnvironment(request)
				if proxy != nil {
					proxies.Store(proxy.Hostname(), true)
				}
				return proxy, err
			},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if host, _, err := net.SplitHostPort(address); err == nil {
					if _, ok := proxies.Load(host); ok {
						return outside.DialContext(ctx, network, address)
					}
				}
				return inside.DialContext(ctx, network, address)
			},
			ForceAttemptHTTP2: true, DisableCompression: true,
			TLSClientConfig: &tls.Config{RootCAs: r.s.RootCAs, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: connectTimeout,
			ResponseHeaderTimeout: min(headerTimeout, r.s.Stall), MaxResponseHeaderBytes: maxHeader, DisableKeepAlives: true,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("the server redirects more than %d times", maxRedirects)
			}
			way.led.Store(!loopback(via[0].URL))
			return redirect(via[len(via)-1].URL, next.URL)
		},
	}
}

// guard refuses connections to where nobody may be led.
type guard struct {
	// led says that it was a server that named the way, and not the release's URL.
	led atomic.Bool
}

func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if g.led.Load() && internal(address) {
		return fmt.Errorf("the server redirects to %s, an address of this machine or its link, which is refused", address)
	}
	return nil
}

// internal tells whether a connection leads to this machine or to what only its link reaches, such as the metadata of a
// cloud: there a name is as good as an address, so it is asked of the address that is connected to.
func internal(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return true
	}
	ip := at.Addr().Unmap()
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast()
}

// redirect judges one: what began with https: stays so, and nobody leads from elsewhere to what only this machine serves.
func redirect(from, to *url.URL) error {
	switch {
	case to.Scheme == "https" && (!loopback(to) || loopback(from)):
		return nil
	case to.Scheme == "http" && from.Scheme == "http" && loopback(from) == loopback(to):
		return nil
	}
	return fmt.Errorf("the server redirects from %s://%s to %s://%s, which is refused", from.Scheme, from.Host, to.Scheme, to.Host)
}

// download brings the content of a URL into the partial file, continuing where an earlier attempt was cut off. A cut
// connection is continued at once as long as each brings something.
func (r *Root) download(ctx context.Context, s source, p *partialFile, o Observer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, MaxDownload, fmt.Errorf("the download took longer than %s", MaxDownload))
	defer cancel()
	client := r.client()
	for range maxResumes {
		before := p.load()
		done, err := r.request(ctx, client, s, p, before, o)
		if done || ctx.Err() != nil || full(err) {
			if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
				err = errors.Join(err, cause)
			}
			return err
		}
		if gained := p.load() - before; !errors.Is(err, errAgain) && (!errors.Is(err, errCut) || gained < leastResumed) {
			return err
		}
	}
	return fmt.Errorf("the server cut the connection %d times", maxResumes)
}

var (
	// errCut is a connection that ended early: continuing is worth a try.
	errCut = errors.New("the connection ended early")
	// errAgain is a server that does not continue: the next request begins anew.
	errAgain = errors.New("the server does not continue the download")
)

// request makes one request and takes what it brings. done: the file is whole, or trying again at once is of no use.
func (r *Root) request(ctx context.Context, client *http.Client, s source, p *partialFile, have int64, o Observer) (done bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location.String(), nil)
	if err != nil {
		return true, errors.New("it is no URL")
	}
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "vow")
	// Without a validator only a checksum tells whether old and new pieces belong together.
	if have > 0 && (p.Validator != "" || s.sum.given()) {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		if p.Validator != "" {
			request.Header.Set("If-Range", p.Validator)
		}
	} else {
		have = 0
	}
	response, err := client.Do(request)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) { // its text has the URL
			err = of.Err
		}
		return true, fmt.Errorf("the server does not answer: %s", s.scrub(err.Error()))
	}
	defer response.Body.Close() // only read from
	switch {
	case response.StatusCode == http.StatusOK:
		have = 0
		if err := p.begin(validator(response)); err != nil {
			return true, err
		}
	case response.StatusCode == http.StatusPartialContent && have > 0 && startsAt(response, have) && p.same(response):
	case have > 0 && response.StatusCode == http.StatusRequestedRangeNotSatisfiable && response.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", have):
		o.Progress(have, have)
		return true, nil // all of it is here
	case have > 0 && (response.StatusCode == http.StatusPartialContent || response.StatusCode == http.StatusRequestedRangeNotSatisfiable):
		if err := p.remove(); err != nil {
			return true, err
		}
		return false, errAgain
	default:
		return true, fmt.Errorf("the server answers %q", response.Status)
	}
	total := int64(0)
	if response.ContentLength >= 0 {
		total = have + response.ContentLength
	}
	if total > r.s.MaxBytes {
		return true, r.tooLong()
	}
	if err := r.space().check(max(0, total-have)); err != nil {
		return true, err
	}
	return r.receive(ctx, cancel, response.Body, p, have, total, o)
}

// receive writes what comes. The download is cut when nothing comes for a while.
func (r *Root) receive(ctx context.Context, cancel context.CancelCauseFunc, from io.Reader, p *partialFile, have, total int64, o Observer) (done bool, err error) {
	f, err := os.OpenFile(p.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return true, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			done, err = true, closeErr
		}
	}()
	var came atomic.Int64 // since the watch began
	stall := time.AfterFunc(r.s.Stall, func() {
		if n := came.Load(); n > 0 {
			cancel(fmt.Errorf("only %s came in %s", archive.Size(n), r.s.Stall))
			return
		}
		cancel(fmt.Errorf("nothing came for %s", r.s.Stall))
	})
	defer stall.Stop()
	buffer := make([]byte, 256<<10)
	unchecked := 0
	for {
		n, readErr := from.Read(buffer)
		if came.Add(int64(n)) >= leastInStall {
			came.Store(0)
			stall.Reset(r.s.Stall)
		}
		if n > 0 {
			if have += int64(n); have > r.s.MaxBytes {
				return true, r.tooLong()
			}
			if _, err := f.Write(buffer[:n]); err != nil {
				return true, err
			}
			if unchecked += n; unchecked >= checkEvery {
				unchecked = 0
				if err := r.space().check(0); err != nil {
					return true, err
				}
			}
			o.Progress(have, total)
		}
		if cause := context.Cause(ctx); cause != nil && readErr != nil {
			readErr = cause // a server that goes when we do may look as if it were done
		}
		switch {
		case errors.Is(readErr, io.EOF) && (total == 0 || have == total):
			return true, nil
		case readErr != nil:
			return false, fmt.Errorf("%w after %s: %w", errCut, archive.Size(have), readErr)
		}
	}
}

func (r *Root) tooLong() error {
	return &LimitError{Limit: archive.LimitBytes, Text: "the download is longer than " + archive.Size(r.s.MaxBytes)}
}

// startsAt tells whether a partial answer is the one that was asked for.
func startsAt(response *http.Response, have int64) bool {
	first, _, ok := strings.Cut(strings.TrimPrefix(response.Header.Get("Content-Range"), "bytes "), "-")
	start, err := strconv.ParseInt(first, 10, 64)
	return ok && err == nil && start == have
}

// validator is what If-Range may name: a strong ETag, or a Last-Modified that is old enough to be one (RFC 9110, 8.8.2.2).
func validator(response *http.Response) string {
	if etag := response.Header.Get("ETag"); strings.HasPrefix(etag, `"`) {
		return etag
	}
	modified, err := http.ParseTime(response.Header.Get("Last-Modified"))
	date, dateErr := http.ParseTime(response.Header.Get("Date"))
	if err != nil || dateErr != nil || date.Sub(modified) < lastModifiedDelay {
		return ""
	}
	return response.Header.Get("Last-Modified")
}
