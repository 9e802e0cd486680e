package builtin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// site answers /<code>, asks for a password at /secret, redirects at /away and never answers at /slow.
func site(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	gone := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, password, _ := r.BasicAuth(); r.URL.Path {
		case "/slow":
			<-gone
		case "/away":
			http.Redirect(w, r, "/200", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/secret":
			if user != "me" || password != "open" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		default:
			code := 0
			_, _ = fmt.Sscanf(r.URL.Path, "/%d", &code)
			w.WriteHeader(code)
		}
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = nil
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() { close(gone); server.CloseClientConnections(); server.Close() })
	return server
}

func TestAURLAnswersWithTheCodeExpected(t *testing.T) {
	p := place(t)
	server := site(t, false)
	url := func(path string) string { return server.URL + path }
	for _, one := range []struct {
		config map[string]string
		want   string
	}{
		{map[string]string{"url": url("/200")}, "INFO non-authenticated request to '" + url("/200") + "' succeeded (returned expected code 200)"},
		{map[string]string{"url": url("/401")}, "ERROR non-authenticated request to '" + url("/401") + "' failed (returned 401, expected 200)"},
		{map[string]string{"url": url("/401"), "ignore-code": "1"}, "INFO non-authenticated request to '" + url("/401") + "' succeeded (return code ignored)"},
		{map[string]string{"url": url("/512"), "http-code": "512"}, "INFO non-authenticated request to '" + url("/512") + "' succeeded (returned expected code 512)"},
		{map[string]string{"url": url("/away")}, "INFO non-authenticated request to '" + url("/away") + "' succeeded (returned expected code 200)"},
		{map[string]string{"url": url("/away"), "allow-redirects": "0"}, "ERROR non-authenticated request to '" + url("/away") + "' failed (returned 302, expected 200)"},
		{map[string]string{"url": url("/round")}, "ERROR ERROR: Exceeded 30 redirects."},
		{map[string]string{"url": url("/secret"), "username": "me", "password": "open"}, "INFO authenticated request to '" + url("/secret") + "' succeeded (returned expected code 200)"},
		{map[string]string{"url": url("/secret"), "username": "me", "password": "shut"}, "ERROR authenticated request to '" + url("/secret") + "' failed (returned 401, expected 200)"},
		{map[string]string{"url": url("/slow"), "timeout": "1"}, "ERROR ERROR: Read timed out. (read timeout=1)"},
		{map[string]string{"url": ""}, "ERROR ERROR: Invalid URL '': No scheme supplied. Perhaps you meant https://?"},
		{map[string]string{"url": "https://"}, "ERROR ERROR: Invalid URL 'https://': No host supplied"},
		{map[string]string{"url": "file:///etc/passwd"}, "ERROR ERROR: Invalid URL 'file:///etc/passwd': No connection adapters were found"},
		{map[string]string{"url": "http://127.0.0.1:1/"}, "ERROR ERROR connection not possible while accessing 'http://127.0.0.1:1/'"},
	} {
		expect(t, sense(t, p, check(t, "check_url_available", one.config)), one.want)
	}
	windows(t, check(t, "check_url_available", nil), Rule{}, Rule{3, 3}, true)
}

func TestACertificateIsVerifiedWhenItIsAskedFor(t *testing.T) {
	p := place(t)
	server := site(t, true)
	url := server.URL + "/200"
	ok := "INFO non-authenticated request to '" + url + "' succeeded (returned expected code 200)"
	expect(t, sense(t, p, check(t, "check_url_available", map[string]string{"url": url})), ok)
	for name, config := range map[string]map[string]string{
		"the system's authorities": {"url": url, "verify": "1"},
		"another authority":        {"url": url, "ca-cert-file": func() string { c, _ := pair(t, 30); return file(t, p, "other", c) }()},
	} {
		if got := sense(t, p, check(t, "check_url_available", config)); !strings.HasPrefix(got, "ERROR ERROR SSL error while accessing '"+url+"'") {
			t.Errorf("with %s it says %s", name, got)
		}
	}
	if got := sense(t, p, check(t, "check_url_available", map[string]string{"url": url, "ca-cert-file": "/none"})); !strings.Contains(got, "No such file") {
		t.Errorf("without its authorities it says %s", got)
	}
}

// A host that never answers the first packet is not one that connected and then said nothing.
func TestAHostThatAcceptsNobodyIsNoReadTimeout(t *testing.T) {
	p := place(t)
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(socket) }()
	if err := errors.Join(syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(socket, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	first, err := net.Dial("tcp", address) // fills the queue: what follows is dropped
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	url := "http://" + address + "/"
	expect(t, sense(t, p, check(t, "check_url_available", map[string]string{"url": url, "timeout": "1"})), "ERROR ERROR connection not possible while accessing '"+url+"'")
}

func TestTheDefaultTimeoutIsASecondLessThanThePromises(t *testing.T) {
	p := place(t)
	p.Timeout = 2 * time.Second
	server := site(t, false)
	expect(t, sense(t, p, check(t, "check_url_available", map[string]string{"url": server.URL + "/slow"})), "ERROR ERROR: Read timed out. (read timeout=1)")
}
