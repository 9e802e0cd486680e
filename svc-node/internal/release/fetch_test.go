package release

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// server serves one file and can be told to misbehave.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	content []byte
	etag    string
	// cut is after how many bytes of an answer the connection is cut; 0 = never.
	cut int
	// hold makes an answer wait after its first half until the client goes.
	hold     bool
	requests []*http.Request
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	content, etag, cut, hold := s.content, s.etag, s.cut, s.hold
	s.mu.Unlock()
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	out := &cutter{ResponseWriter: w, left: cut, hold: hold, half: len(content) / 2, request: r}
	http.ServeContent(out, r, "release", time.Time{}, bytes.NewReader(content))
}

// ranges lists what the requests asked for.
func (s *server) ranges() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		all = append(all, r.Header.Get("Range"))
	}
	return all
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

type cutter struct {
	http.ResponseWriter
	left, half int
	hold       bool
	request    *http.Request
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.hold {
		n, _ := c.ResponseWriter.Write(p[:min(len(p), c.half)])
		if c.half -= n; c.half <= 0 {
			c.ResponseWriter.(http.Flusher).Flush()
			<-c.request.Context().Done()
			panic(http.ErrAbortHandler)
		}
		return n, nil
	}
	if c.left == 0 {
		return c.ResponseWriter.Write(p)
	}
	if len(p) >= c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func serve(t testing.TB, content []byte) *server {
	t.Helper()
	s := &server{content: content, etag: `"one"`}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// noise is an archive of about n bytes that no packing makes smaller.
func noise(t testing.TB, n int) []byte {
	t.Helper()
	content := make([]byte, n)
	_, _ = rand.Read(content)
	return tarOf(t, profile("instance.cfg"), entry{name: "noise", content: string(content)})
}

func TestADownloadThatTheServerCutsIsContinuedWhereItWas(t *testing.T) {
	content := noise(t, 1<<20)
	s := serve(t, content)
	s.set(func() { s.cut = 400_000 })
	r := newRoot(t)
	url := s.URL + "/hello.tar" + sha256Of(content)
	w := &watcher{}
	if err := r.Install(t.Context(), url, w); err != nil {
		t.Fatal(err)
	}
	if got := s.ranges(); len(got) != 3 || got[0] != "" || got[1] != "bytes=400000-" || got[2] != "bytes=800000-" {
		t.Errorf("the requests were for %q", got)
	}
	if s.requests[1].Header.Get("If-Range") != `"one"` {
		t.Errorf("the second asked If-Range %q", s.requests[1].Header.Get("If-Range"))
	}
	if w.String() != "download verify unpack" || w.done[0] != int64(len(content)) || w.total[0] != w.done[0] || w.done[1] != w.done[0] || w.done[2] != w.done[0] {
		t.Errorf("the steps were %s: %d of %d bytes of %d", w, w.done, w.total, len(content))
	}
	if left := beside(t, r); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
}

func TestAnAttemptThatBringsLittleIsContinuedByTheNext(t *testing.T) {
	content := noise(t, 1<<20)
	s := serve(t, content)
	s.set(func() { s.cut = leastResumed - 1 })
	r := newRoot(t)
	url := s.URL + "/hello.tar"
	if err := r.Install(t.Context(), url, nil); !errors.Is(err, errCut) || len(s.ranges()) != 1 {
		t.Fatalf("%v after %d requests", err, len(s.ranges()))
	}
	s.set(func() { s.cut = 0 })
	if again, err := NewRoot(r.dir, Settings{}); err != nil || again.Install(t.Context(), url, nil) != nil {
		t.Fatalf("a new agent cannot continue: %v", err)
	}
	if got := s.ranges(); len(got) != 2 || got[1] != fmt.Sprintf("bytes=%d-", leastResumed-1) {
		t.Errorf("the requests were for %q", got)
	}
}

func TestADownloadBeginsAnewWhenTheServerHasAnotherContent(t *testing.T) {
	for name, etags := range map[string][2]string{"another tag": {`"one"`, `"two"`}, "no tag": {"", ""}, "weak tag": {`W/"one"`, `W/"one"`}} {
		t.Run(name, func(t *testing.T) {
			before, after := noise(t, 100_000), noise(t, 100_000)
			s := serve(t, before)
			s.set(func() { s.etag, s.cut = etags[0], leastResumed-1 })
			r := newRoot(t)
			url := s.URL + "/hello.tar"
			if err := r.Install(t.Context(), url, nil); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			s.set(func() { s.content, s.etag, s.cut = after, etags[1], 0 })
			if err := r.Install(t.Context(), url, nil); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(r.Directory(url), "noise"))
			if err != nil || !bytes.Contains(after, got) {
				t.Errorf("the release is of two contents, or %v", err)
			}
		})
	}
}

func TestADownloadWithAnotherContentThanItsChecksumIsThrownAway(t *testing.T) {
	content := noise(t, 1000)
	s := serve(t, content)
	r := newRoot(t)
	url := s.URL + "/hello.tar" + sha256Of(noise(t, 1000))
	for range 2 {
		if err := r.Install(t.Context(), url, nil); !errors.Is(err, errChecksum) {
			t.Fatal(err)
		}
		if left := beside(t, r); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	}
	if got := s.ranges(); len(got) != 2 || got[1] != "" {
		t.Errorf("the requests were for %q", got)
	}
}

func TestADownloadThatIsWholeIsNotReadAgain(t *testing.T) {
	content := noise(t, 100_000)
	s := serve(t, content)
	r := newRoot(t)
	url := s.URL + "/hello.tar" + sha256Of(content)
	ctx, cancel := context.WithCancel(t.Context())
	err := r.Install(ctx, url, &watcher{at: func(step Step, _, _ int64) {
		if step == Verify {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.ranges(); len(got) != 2 || got[1] != fmt.Sprintf("bytes=%d-", len(content)) {
		t.Errorf("the requests were for %q", got)
	}
}

func TestWhatServersMayNotDo(t *testing.T) {
	content := tarOf(t, profile("instance.cfg"))
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/release.tar":
			_, _ = w.Write(content)
		case "/to-http":
			http.Redirect(w, r, "http://127.0.0.1/release.tar", http.StatusFound)
		case "/to-itself":
			http.Redirect(w, r, "/to-itself", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/release.tar", http.StatusFound)
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxHeader))
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/long":
			w.Header().Set("Content-Length", "1000000")
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(make([]byte, 1000))
		case "/endless":
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 100_000))
			}
		case "/stalls", "/nothing":
			if r.URL.Path == "/stalls" {
				_, _ = w.Write(content[:10])
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/silent":
			<-r.Context().Done()
		case "/trickles":
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				_, _ = w.Write(content[:1])
				w.(http.Flusher).Flush()
				<-tick.C
			}
		case "/less":
			w.Header().Set("Content-Length", "400000")
			_, _ = w.Write(make([]byte, 1000))
		case "/more":
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write(content[:10])
			_, _ = w.Write(content[10:])
		case "/not-changed":
			w.WriteHeader(http.StatusNotModified)
		case "/part":
			w.Header().Set("Content-Range", "bytes 0-9/100")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content[:10])
		case "/to-file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/to-metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		}
	}))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	t.Cleanup(secure.Close)
	pool := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	r := newRoot(t, Settings{RootCAs: pool, Stall: 100 * time.Millisecond, MaxBytes: 500_000})
	if err := r.Install(t.Context(), secure.URL+"/once", nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/to-http":     "redirects from https://127.0.0.1",
		"/to-itself":   "redirects more than 5 times",
		"/header":      "the server does not answer",
		"/gone":        `the server answers "410 Gone"`,
		"/long":        "longer than 488 KiB",
		"/endless":     "longer than 488 KiB",
		"/stalls":      "only 10 bytes came in 100ms",
		"/trickles":    "bytes came in 100ms",
		"/nothing":     "nothing came for 100ms",
		"/silent":      "the server does not answer",
		"/less":        "ended early after 1000 bytes",
		"/more":        "it is no archive",
		"/not-changed": `the server answers "304 Not Modified"`,
		"/part":        `the server answers "206 Partial Content"`,
		"/to-file":     "redirects from https://127.0.0.1",
		"/to-metadata": "redirects from https://127.0.0.1",
	} {
		url := strings.Replace(secure.URL, "https://", "https://user:s3cret@", 1) + path + "?X-Signature=s3cret-too"
		err := r.Install(t.Context(), url, nil)
		if err == nil || !strings.Contains(err.Error(), want) || r.Installed(url) {
			t.Errorf("%s: %v", path, err)
		}
		if text := fmt.Sprint(err); strings.Contains(text, "s3cret") || strings.Contains(text, "user:") {
			t.Errorf("%s: the error has the password: %s", path, text)
		}
	}
	if err := r.Install(t.Context(), strings.Replace(secure.URL, "127.0.0.1", "localhost", 1)+"/release.tar", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of another name: %v", err)
	}
	plain := serve(t, content)
	if err := r.Install(t.Context(), strings.Replace(plain.URL, "http://", "https://", 1)+"/release.tar", nil); err == nil || !strings.Contains(err.Error(), "the server does not answer") {
		t.Errorf("a server without TLS: %v", err)
	}
	old := httptest.NewUnstartedServer(secure.Config.Handler)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // that is the test
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	old.StartTLS()
	t.Cleanup(old.Close)
	if err := r.Install(t.Context(), old.URL+"/release.tar", nil); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("a server of TLS 1.1: %v", err)
	}
	unknown := newRoot(t)
	if err := unknown.Install(t.Context(), secure.URL+"/release.tar", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}

func TestAnInstalledReleaseKeepsNoPassword(t *testing.T) {
	s := serve(t, tarOf(t, profile("instance.cfg")))
	r := newRoot(t)
	url := strings.Replace(s.URL, "http://", "http://user:s3cret@", 1) + "/hello.tar?X-Signature=s3cret-too"
	if err := r.Install(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	if user, password, _ := s.requests[0].BasicAuth(); user != "user" || password != "s3cret" {
		t.Errorf("the server was told %q and %q", user, password)
	}
	if got := s.requests[0].URL.Query().Get("X-Signature"); got != "s3cret-too" {
		t.Errorf("the server was told the signature %q", got)
	}
	content, err := os.ReadFile(filepath.Join(r.Directory(url), completed))
	if err != nil || strings.Contains(string(content), "s3cret") || !strings.Contains(string(content), "REDACTED@") {
		t.Errorf("%s says %s, %v", completed, content, err)
	}
}

func TestSeveralInstallationsOfOneReleaseHappenOnce(t *testing.T) {
	content := noise(t, 100_000)
	s := serve(t, content)
	r := newRoot(t)
	other, err := NewRoot(r.dir, Settings{}) // as another process would
	if err != nil {
		t.Fatal(err)
	}
	url := s.URL + "/hello.tar"
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if err := []*Root{r, other}[i%2].Install(t.Context(), url, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := s.ranges(); len(got) != 1 {
		t.Errorf("%d downloads", len(got))
	}
}

func TestWhoWaitsForAnotherInstallationCanBeEnded(t *testing.T) {
	r := newRoot(t)
	unlock, err := r.lock(t.Context(), privilege.User{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Install(ctx, file(t, tarOf(t, profile("instance.cfg"))), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	unlock()
	unlock, err = r.lock(t.Context(), privilege.User{}) // who gave up holds nothing
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// Servers that continue with something else than what was asked for.
func TestAContinuationOfAnotherContentBeginsAnew(t *testing.T) {
	content, other := noise(t, 100_000), noise(t, 100_000)
	for name, continued := range map[string]func(w http.ResponseWriter){
		"another tag": func(w http.ResponseWriter) {
			w.Header().Set("ETag", `"two"`)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 50000-%d/%d", len(other)-1, len(other)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(other[50_000:])
		},
		"no tag": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 50000-%d/%d", len(other)-1, len(other)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(other[50_000:])
		},
		"another range": func(w http.ResponseWriter) {
			w.Header().Set("ETag", `"one"`)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 40000-%d/%d", len(other)-1, len(other)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content[40_000:])
		},
		"shorter": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes */20000")
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Range"))
				if r.Header.Get("Range") != "" {
					continued(w)
					return
				}
				w.Header().Set("ETag", `"one"`)
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				if len(asked) > 1 {
					_, _ = w.Write(content)
					return
				}
				_, _ = w.Write(content[:50_000])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}))
			defer server.Close()
			r := newRoot(t)
			url := server.URL + "/hello.tar"
			if err := r.Install(t.Context(), url, nil); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			if err := r.Install(t.Context(), url, nil); err != nil {
				t.Fatal(err)
			}
			if len(asked) != 3 || asked[1] != "bytes=50000-" || asked[2] != "" {
				t.Errorf("the requests were for %q", asked)
			}
			got, err := os.ReadFile(filepath.Join(r.Directory(url), "noise"))
			if err != nil || !bytes.Contains(content, got) {
				t.Errorf("the release is of two contents, or %v", err)
			}
		})
	}
}

func TestNoRedirectLeadsToThisMachineUnderAnotherName(t *testing.T) {
	var way guard
	for address, inside := range map[string]bool{
		"127.0.0.1:80": true, "127.8.8.8:80": true, "[::1]:443": true, "[::ffff:127.0.0.1]:443": true, "0.0.0.0:80": true, "[::]:80": true, "169.254.169.254:80": true,
		"[fe80::1%eth0]:80": true, "224.0.0.1:80": true, "nonsense": true, "93.184.216.34:443": false, "10.1.2.3:443": false, "[2001:db8::1]:443": false,
	} {
		way.led.Store(false)
		if err := way.control(t.Context(), "tcp", address, nil); err != nil {
			t.Errorf("%s, which the release's URL itself may name: %v", address, err)
		}
		way.led.Store(true)
		if err := way.control(t.Context(), "tcp", address, nil); err != nil != inside {
			t.Errorf("led to %s: %v", address, err)
		}
	}
}

func TestRedirectsStayAsSafeAsTheyBegan(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"https://a/x", "https://b/x", true},
		{"https://a/x", "http://a/x", false},
		{"https://a/x", "https://127.0.0.1/x", false},
		{"http://a/x", "https://b/x", true},
		{"http://a/x", "http://b/x", true},
		{"http://a/x", "http://localhost/x", false},
		{"http://a/x", "https://[::1]/x", false},
		{"http://127.0.0.1:1/x", "http://localhost:2/x", true},
		{"http://127.0.0.1:1/x", "http://b/x", false},
		{"https://a/x", "file:///etc/passwd", false},
	} {
		from, to := mustParse(t, c.from), mustParse(t, c.to)
		if err := redirect(from, to); (err == nil) != c.allowed {
			t.Errorf("from %s to %s: %v", c.from, c.to, err)
		}
	}
}
