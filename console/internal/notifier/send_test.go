package notifier

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/console/notify"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func message() notify.Message {
	return notify.Message{ID: "abc-1", At: noon, Text: "2 trees are Red", Items: []notify.Fact{
		{Thing: "tree/hello", Kind: notify.TreeRed, Name: "hello", Text: "web: run failed:\r\nBcc: everybody@example.org", Link: "https://console.example.org/trees/t1", Since: noon},
		{Thing: "tree/größe", Kind: notify.TreeRed, Name: "größe", Since: noon},
	}, More: 3}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWebhookIsSignedAndSaysNoSecretWhenItFails(t *testing.T) {
	var got *http.Request
	var body []byte
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	w := webhook{Name: "chat", URLFile: file(t, server.URL+"/hidden-token\n"), SecretFile: file(t, "key\n")}
	if err := w.send(t.Context(), message(), noon); err != nil {
		t.Fatal(err)
	}
	// What a receiver does to check it, with the documentation in hand.
	at, signature, _ := strings.Cut(strings.TrimPrefix(got.Header.Get("Vow-Signature"), "t="), ",v1=")
	if at != fmt.Sprint(noon.Unix()) || len(signature) != 64 || got.Header.Get("Vow-Signature") != sign("key", body, noon) || sign("other", body, noon) == sign("key", body, noon) {
		t.Errorf("signature %q", got.Header.Get("Vow-Signature"))
	}
	var m notify.Message
	if err := json.Unmarshal(body, &m); err != nil || m.Text != "2 trees are Red" || len(m.Items) != 2 || got.Header.Get("Vow-Delivery") != m.ID || got.Method != http.MethodPost {
		t.Errorf("%v: %s", err, body)
	}
	for code, forGood := range map[int]bool{302: false, 404: true, 408: false, 429: false, 500: false} {
		status = code
		err := w.send(t.Context(), message(), noon)
		var refused refusedError
		if err == nil || errors.As(err, &refused) != forGood || got.URL.Path != "/hidden-token" {
			t.Errorf("%d: %v", code, err)
		}
	}
	server.Close()
	if err := w.send(t.Context(), message(), noon); err == nil || strings.Contains(err.Error(), "hidden-token") || strings.Contains(err.Error(), "key") {
		t.Errorf("nobody listens: %v", err)
	}
}

// post is an SMTP server on loopback that takes one mail.
type post struct {
	address string
	said    chan []string // what the client said
	roots   *x509.CertPool
}

func startPost(t *testing.T, refuse string) *post {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &post{address: listener.Addr().String(), said: make(chan []string, 1), roots: x509.NewCertPool()}
	p.roots.AddCert(certificate)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { connection.Close() }()
		var said []string
		defer func() { p.said <- said }()
		lines := bufio.NewReader(connection)
		answer := func(text string) { fmt.Fprintf(connection, "%s\r\n", text) }
		answer("220 post")
		inside := false
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			said = append(said, line)
			verb, _, _ := strings.Cut(line, " ")
			switch {
			case inside && line == ".":
				inside = false
				answer("250 taken")
			case inside:
			case verb == refuse:
				answer("550 not here")
			case verb == "EHLO":
				answer("250-post\r\n250-STARTTLS\r\n250 AUTH PLAIN")
			case verb == "STARTTLS":
				answer("220 go")
				secure := tls.Server(connection, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12})
				connection, lines = secure, bufio.NewReader(secure)
			case verb == "AUTH":
				answer("235 welcome")
			case verb == "DATA":
				inside = true
				answer("354 go on")
			case verb == "QUIT":
				answer("221 bye")
				return
			default:
				answer("250 ok")
			}
		}
	}()
	return p
}

func TestAMailArrivesWholeOverTLSWithItsPassword(t *testing.T) {
	p := startPost(t, "")
	m := mailbox{
		Server: p.address, From: "vow <vow@example.org>", To: []string{"one@example.org", "Two <two@example.org>"}, Username: "vow", PasswordFile: file(t, "hunter2\n"), roots: &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.send(ctx, message(), noon); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(<-p.said, "\r\n")
	for _, want := range []string{
		"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00vow\x00hunter2")), "MAIL FROM:<vow@example.org>", "RCPT TO:<one@example.org>", "RCPT TO:<two@example.org>",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q was not said in\n%s", want, said)
		}
	}
	if strings.Index(said, "STARTTLS") > strings.Index(said, "AUTH") {
		t.Errorf("the password was sent before TLS:\n%s", said)
	}
	_, data, _ := strings.Cut(said, "DATA\r\n")
	parsed, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Header.Get("Subject") != "[vow] 2 trees are Red" || parsed.Header.Get("Bcc") != "" || parsed.Header.Get("Message-Id") != "<abc-1@example.org>" || parsed.Header.Get("To") != `<one@example.org>, "Two" <two@example.org>` {
		t.Errorf("headers %v", parsed.Header)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tree hello is Red: web: run failed: Bcc: everybody@example.org\r\n", "https://console.example.org/trees/t1", "tree größe is Red", "and 3 more"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestAMailThatIsRefusedIsRefusedForGoodAndAServerWithoutItsNameIsNot(t *testing.T) {
	p := startPost(t, "RCPT")
	m := mailbox{Server: p.address, From: "vow@example.org", To: []string{"nobody@example.org"}, TLS: "none"}
	var refused refusedError
	if err := m.send(t.Context(), message(), noon); !errors.As(err, &refused) {
		t.Errorf("a refused mail: %v", err)
	}
	p = startPost(t, "")
	m = mailbox{Server: p.address, From: "vow@example.org", To: []string{"nobody@example.org"}} // nobody vouches for its certificate
	if err := m.send(t.Context(), message(), noon); err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot start TLS") {
		t.Errorf("a server that is not who it says: %v", err)
	}
}

func TestTheFileIsCheckedAndItsErrorsNameTheField(t *testing.T) {
	for content, want := range map[string]string{
		`{`: "unexpected", `{"webhook": []}`: `"webhook"`, `{}`: "0 receivers", `{"hold": "soon"}`: `hold "soon"`, `{"link": "console"}`: `link "console"`,
		`{"webhooks": [{"name": "a"}]}`:                                                      `receiver "a": want url or url_file`,
		`{"webhooks": [{"name": "a", "url": "ftp://hidden"}]}`:                               "its URL is none",
		`{"webhooks": [{"name": "a", "url": "http://a"}, {"name": "a", "url": "http://b"}]}`: "a name of its own",
		`{"mails": [{"name": "a", "server": "mail"}]}`:                                       `server "mail"`,
		`{"mails": [{"name": "a", "server": "mail:25", "from": "a@b", "to": ["c@d"], "tls": "none", "username": "x", "password_file": "y"}]}`:                       "over TLS only",
		`{"silences": [{"things": "tree/["}], "webhooks": [{"name": "a", "url": "http://a"}]}`:                                                                      `silence of "tree/["`,
		`{"link": "http://c/", "silences": [{"things": "tree/a*", "until": "2026-12-01T00:00:00Z"}], "webhooks": [{"name": "a", "url": "http://a"}], "hold": "1m"}`: "",
	} {
		c, err := read(file(t, content))
		switch {
		case want == "" && (err != nil || c.Link != "http://c" || c.rules.Hold != time.Minute || c.rules.Group != defaultGroup):
			t.Errorf("%s: %v, %+v", content, err, c)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden")):
			t.Errorf("%s: %v, want %s", content, err, want)
		}
	}
}

func TestTheStateIsKeptAndOnlyOneHasIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	first, s, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Observe(notify.Fact{Thing: "tree/a", Kind: notify.TreeRed}, noon)
	if err := first.save(&s); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(path); err == nil || !strings.Contains(err.Error(), "another console notifies with it") {
		t.Errorf("a second one: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	second, s, err := open(path)
	if err != nil || s.Things["tree/a"].Now.Kind != notify.TreeRed {
		t.Fatalf("%v, %+v", err, s)
	}
	if err := second.close(); err != nil {
		t.Fatal(err)
	}
}
