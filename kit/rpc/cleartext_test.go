package rpc_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
)

// inClearText serves one page on a network in memory.
func inClearText(t *testing.T) (*rpc.Server, func() net.Conn) {
	t.Helper()
	network := memnet.New()
	listener, err := network.Listen("server:1")
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{}, rpc.Settings{Listener: listener})
	must(t, err)
	server.HandleHTTP("/page", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+string(body))
	}))
	must(t, server.Start(t.Context()))
	return server, func() net.Conn {
		conn, err := network.Dial(t.Context(), "client", "server:1")
		must(t, err)
		return conn
	}
}

func TestHttp11IsServedHoweverItsFirstBytesArriveAndWhateverTheyResemble(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PUT", "PRI", "PROPFIND", "P"} {
		for _, piece := range []int{1, 2, 3, 1000} {
			synctest.Test(t, func(t *testing.T) {
				server, dial := inClearText(t)
				conn := dial()
				request := method + " /page HTTP/1.1\r\nHost: server\r\nContent-Length: 4\r\n\r\nbody"
				for len(request) > 0 {
					n := min(piece, len(request))
					_, err := io.WriteString(conn, request[:n])
					must(t, err)
					request = request[n:]
					synctest.Wait()
				}
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				must(t, err)
				body, err := io.ReadAll(response.Body)
				must(t, err)
				if got := string(body); got != method+" body" {
					t.Errorf("%s in pieces of %d: %s %q", method, piece, response.Status, got)
				}
				must(t, conn.Close())
				must(t, server.Stop(t.Context()))
			})
		}
	}
}

func TestAConnectionThatDoesNotSayWhatItIsIsClosed(t *testing.T) {
	for _, said := range []string{"", "PRI * HTTP/2.0\r\n\r\nSM"} {
		synctest.Test(t, func(t *testing.T) {
			server, dial := inClearText(t)
			conn, began := dial(), time.Now()
			_, err := io.WriteString(conn, said)
			must(t, err)
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || time.Since(began) > 11*time.Second {
				t.Errorf("after %q and %v: %d bytes, %v", said, time.Since(began), n, err)
			}
			must(t, conn.Close())
			must(t, server.Stop(t.Context()))
		})
	}
}

func TestAServerThatStopsClosesConnectionsThatHaveNotSaidWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, dial := inClearText(t)
		conn, began := dial(), time.Now()
		_, err := io.WriteString(conn, "PRI")
		must(t, err)
		synctest.Wait()
		must(t, server.Stop(t.Context()))
		if _, err := conn.Read(make([]byte, 1)); err == nil || time.Since(began) > 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		must(t, conn.Close())
	})
}

func TestAnHttp2ConnectionThatDoesNotEndIsClosedWhenTheTimeToStopIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, dial := inClearText(t)
		conn := dial()
		// The preface, and a client's settings; nothing that the server says is answered.
		_, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		must(t, err)
		// A request whose end never comes: POST /page, HPACK without an index.
		headers := "\x83\x84\x86\x41\x06server" // POST, /, http, authority
		_, err = io.WriteString(conn, "\x00\x00"+string(rune(len(headers)))+"\x01\x04\x00\x00\x00\x01"+headers)
		must(t, err)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		err = server.Stop(ctx)
		if took := time.Since(began); took > 3*time.Second || (err != nil && (!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cannot end all calls"))) {
			t.Errorf("stopped after %v: %v", took, err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("the connection ended with %v", err)
		}
		must(t, conn.Close())
	})
}
