package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vow-os/vow/kit/rpc"
)

func TestAPeerThatDoesNotReadIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		w := newWorld(t, echo{stream: func(ctx context.Context, s *connect.BidiStream[request, response]) error {
			noise := make([]byte, 64<<10) // nothing that compresses
			_, _ = rand.Read(noise)
			large := &response{} // by a field that the contract does not know
			large.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), noise))
			for {
				err := rpc.SendWithin(ctx, 5*time.Second, func() error { return s.Send(large) })
				if err != nil {
					ended <- err
					return err
				}
			}
		}}, nil)
		start := time.Now()
		uncompressed := append(w.client.Options(), connect.WithAcceptCompression("gzip", nil, nil)) // 4 MiB of noise fill the window
		chat := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+echoStream, uncompressed...).CallBidiStream(t.Context())
		must(t, chat.Send(nil)) // opens the stream; nobody reads it
		if err := <-ended; err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// The connection lives: it is shared with all other calls.
		if n := w.net.Connections("client", "server"); n != 1 {
			t.Errorf("%d connections", n)
		}
		must(t, chat.CloseResponse())
		w.stop(t)
	})
}

func TestAPeerThatDoesNotReadIsCutOverHTTP11Too(t *testing.T) {
	ended := make(chan error, 1)
	server, err := rpc.NewServer(rpc.Config{Address: "127.0.0.1:0"}, rpc.Settings{})
	must(t, err)
	server.Handle("/x", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			err := rpc.SendWithin(r.Context(), 100*time.Millisecond, func() error { _, err := w.Write(make([]byte, 64<<10)); return err })
			if err != nil {
				ended <- err
				return
			}
		}
	}))
	must(t, server.Start(t.Context()))
	defer server.Stop(t.Context())
	conn, err := net.Dial("tcp", server.Addr().String())
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"))
	must(t, err)
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the handler still waits for a peer that reads nothing")
	}
}

func TestAllCallsShareOneConnectionWhichIsOpenedAgainAfterItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{unary: answer}, nil)
		many := func() {
			t.Helper()
			errs := make(chan error)
			for range 50 {
				go func() {
					errs <- w.client.Retry(t.Context(), "x", func(ctx context.Context) error {
						_, err := w.echo(ctx, "x")
						return err
					})
				}()
			}
			for range 50 {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		}
		many()
		if n := w.net.Connections("client", "server"); n != 1 {
			t.Errorf("50 calls made %d connections", n)
		}
		w.net.Reset("client", "server")
		many()
		w.stop(t)
		synctest.Wait()
		if n := w.net.Connections("client", "server"); n != 0 {
			t.Errorf("%d connections are left after the end", n)
		}
	})
}

func TestASocketFileAndTlsAreServed(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	secure, err := rpc.NewServer(rpc.Config{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key}, rpc.Settings{})
	must(t, err)
	must(t, secure.Start(t.Context()))
	defer secure.Stop(t.Context())

	var lc net.ListenConfig
	path := filepath.Join(dir, "s")
	listener, err := lc.Listen(t.Context(), "unix", path)
	must(t, err)
	local, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: listener})
	must(t, err)
	must(t, local.Start(t.Context()))
	defer local.Stop(t.Context())

	for address, tlsConfig := range map[string]*tls.Config{
		"https://" + secure.Addr().String(): {RootCAs: pool, MinVersion: tls.VersionTLS12}, "unix:" + path: nil,
	} {
		client, err := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{TLS: tlsConfig})
		must(t, err)
		c := connect.NewClient[request, response](client.HTTP(), client.BaseURL()+"/grpc.health.v1.Health/Check", connect.WithGRPC())
		if _, err := c.CallUnary(t.Context(), connect.NewRequest(&request{})); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		client.Close()
	}
	if _, err := rpc.NewServer(rpc.Config{Address: "127.0.0.1:0", CertFile: cert}, rpc.Settings{}); err == nil || !strings.Contains(err.Error(), "--key-file") {
		t.Errorf("a certificate without a key: %v", err)
	}
}

// certificate writes a certificate of 127.0.0.1 that signs itself, and its key.
func certificate(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile, pool = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(t, os.WriteFile(certFile, certPEM, 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

func TestAClientWithoutTelemetryLeavesTheDecisionToSampleToTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo{unary: answer}, func(_ *rpc.Settings, c *rpc.ClientSettings) { c.Telemetry = nil })
		_, err := w.echo(t.Context(), "x")
		must(t, err)
		if spans := w.exporter.GetSpans(); len(spans) != 1 || spans[0].Parent.IsValid() {
			t.Errorf("%d spans, want the server's as a root", len(spans))
		}
		w.stop(t)
	})
}
