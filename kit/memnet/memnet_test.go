package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"google.golang.org/grpc/health/grpc_health_v1"
	"pgregory.net/rapid"

	"github.com/vow-os/vow/kit/memnet"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// connected is the two ends of a connection from a to b.
func connected(t *testing.T, n *memnet.Network) (a, b net.Conn) {
	t.Helper()
	l, err := n.Listen("b:1")
	must(t, err)
	a, err = n.Dial(t.Context(), "a", "b:1")
	must(t, err)
	b, err = l.Accept()
	must(t, err)
	must(t, l.Close())
	return a, b
}

func read(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	must(t, err)
	return string(b)
}

func TestBytesArriveInOrderHoweverTheyAreWrittenAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		writes := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 200_000/20)).Draw(t, "writes")
		reads := rapid.IntRange(1, 100_000).Draw(t, "read size")
		a, b := memnet.Pipe()
		var want []byte
		for _, w := range writes {
			if n, err := a.Write(w); n != len(w) || err != nil {
				t.Fatalf("wrote %d of %d: %v", n, len(w), err)
			}
			want = append(want, w...)
			clear(w) // a writer may use its buffer again
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(struct{ io.Reader }{chunked{b, reads}}, int64(len(want))+1))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, want %d: %v", len(got), len(want), err)
		}
	})
}

// chunked reads in pieces of at most n bytes.
type chunked struct {
	r io.Reader
	n int
}

func (c chunked) Read(b []byte) (int, error) { return c.r.Read(b[:min(len(b), c.n)]) }

func TestTwoPeersThatWriteAtOnceDoNotDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t, memnet.New())
		big := bytes.Repeat([]byte("x"), 1<<20)
		for range 4 {
			_, err := a.Write(big)
			must(t, err)
			_, err = b.Write(big)
			must(t, err)
		}
		if got := read(t, a, 4<<20); got != string(bytes.Repeat(big, 4)) {
			t.Error("other bytes arrived")
		}
		must(t, errors.Join(a.Close(), b.Close()))
	})
}

func TestAReadEndsAtItsDeadlineAlsoWhenThatIsSetWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t, memnet.New())
		start := time.Now()
		must(t, a.SetReadDeadline(start.Add(3*time.Second)))
		_, err := a.Read(make([]byte, 1))
		var netErr net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &netErr) || !netErr.Timeout() || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		must(t, a.SetReadDeadline(time.Time{}))
		result := make(chan error, 1)
		go func() {
			_, err := a.Read(make([]byte, 1))
			result <- err
		}()
		synctest.Wait()
		must(t, a.SetReadDeadline(time.Now()))
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		must(t, a.SetReadDeadline(time.Time{}))
		_, err = b.Write([]byte("z"))
		must(t, err)
		if read(t, a, 1) != "z" {
			t.Error("a passed deadline broke the connection")
		}
		must(t, errors.Join(a.Close(), b.Close()))
	})
}

func TestCloseDeliversWhatWasWrittenAndEndsReadsOfBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := connected(t, n)
		result := make(chan error, 1)
		go func() {
			_, err := a.Read(make([]byte, 1))
			result <- err
		}()
		_, err := a.Write([]byte("last words"))
		must(t, err)
		must(t, a.Close())
		must(t, a.Close())
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the closed end reads %v", err)
		}
		if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
			t.Errorf("the other end reads %q, %v", got, err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, memnet.ErrReset) {
			t.Errorf("writing to a closed end: %v", err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing after close: %v", err)
		}
		must(t, b.Close())
		if left := n.Connections(memnet.Any, memnet.Any); left != 0 {
			t.Errorf("%d connections are left", left)
		}
	})
}

func TestLatencyDelaysBytesWithoutReorderingThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetLatency("a", 20*time.Millisecond)
		n.SetLatency("b", 30*time.Millisecond)
		a, b := connected(t, n)
		start := time.Now()
		_, err := a.Write([]byte("1"))
		must(t, err)
		n.SetLatency("b", 0) // later bytes are faster, but not before earlier ones
		_, err = a.Write([]byte("2"))
		must(t, err)
		if got := read(t, b, 2); got != "12" || time.Since(start) != 50*time.Millisecond {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		must(t, errors.Join(a.Close(), b.Close()))
	})
}

func TestACutLinkHoldsBytesUntilItHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := connected(t, n)
		n.Cut("a", "b", memnet.Hold)
		_, err := a.Write([]byte("held"))
		must(t, err)
		must(t, b.SetReadDeadline(time.Now().Add(time.Minute)))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("through a cut link came %v", err)
		}
		must(t, b.SetReadDeadline(time.Time{}))
		n.Heal("b", "a")
		if got := read(t, b, 4); got != "held" {
			t.Errorf("got %q", got)
		}
		must(t, errors.Join(a.Close(), b.Close()))
	})
}

func TestACutLinkThatLosesBytesResetsItsConnectionsWhenItHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := connected(t, n)
		n.Cut(memnet.Any, "b", memnet.Drop)
		_, err := a.Write([]byte("lost"))
		must(t, err)
		result := make(chan error, 1)
		go func() {
			_, err := b.Read(make([]byte, 1))
			result <- err
		}()
		synctest.Wait()
		n.Heal(memnet.Any, "b")
		if err := <-result; !errors.Is(err, memnet.ErrReset) {
			t.Errorf("the reader got %v", err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, memnet.ErrReset) {
			t.Errorf("the writer got %v", err)
		}
		must(t, errors.Join(a.Close(), b.Close()))
	})
}

func TestAnIdleConnectionSurvivesACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := connected(t, n)
		n.Cut("a", "b", memnet.Drop)
		n.Heal("a", "b")
		_, err := a.Write([]byte("x"))
		must(t, err)
		if read(t, b, 1) != "x" {
			t.Error("other bytes arrived")
		}
		must(t, errors.Join(a.Close(), b.Close()))
	})
}

func TestDiallingWaitsForACutLinkAndIsRefusedWhereNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		if _, err := n.Dial(t.Context(), "a", "b:1"); !errors.Is(err, memnet.ErrRefused) {
			t.Errorf("got %v", err)
		}
		l, err := n.Listen("b:1")
		must(t, err)
		if _, err := n.Listen("b:1"); err == nil {
			t.Error("two listen on one address")
		}
		n.Cut("a", memnet.Any, memnet.Drop)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "a", "b:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		other, err := n.Dial(t.Context(), "c", "b:1")
		must(t, err)
		time.AfterFunc(time.Minute, func() { n.Heal("a", memnet.Any) })
		start := time.Now()
		late, err := n.Dial(t.Context(), "a", "b:1")
		must(t, err)
		if time.Since(start) != time.Minute {
			t.Errorf("connected after %v", time.Since(start))
		}
		must(t, l.Close())
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed listener accepts: %v", err)
		}
		if _, err := late.Read(make([]byte, 1)); !errors.Is(err, memnet.ErrReset) {
			t.Errorf("a connection nobody accepted reads %v", err)
		}
		must(t, errors.Join(other.Close(), late.Close()))
	})
}

func TestResetBreaksConnectionsAsAKillDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := connected(t, n)
		_, err := a.Write([]byte("unread"))
		must(t, err)
		n.Reset("b", memnet.Any)
		for _, c := range []net.Conn{a, b} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, memnet.ErrReset) {
				t.Errorf("got %v", err)
			}
			must(t, c.Close())
		}
	})
}

func TestARpcOverHttp2WorksInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetLatency("client", 10*time.Millisecond)
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		mux := http.NewServeMux()
		const procedure = "/grpc.health.v1.Health/Check"
		mux.Handle(procedure, connect.NewUnaryHandlerSimple(procedure,
			func(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
				<-time.After(time.Hour)
				return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
			}))
		server := &http.Server{Handler: mux, Protocols: protocols} //nolint:gosec // a test
		l, err := n.Listen("server:0")
		must(t, err)
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()

		dial := n.Dialer("client")
		transport := &http.Transport{Protocols: protocols, DialContext: dial}
		client := connect.NewClient[grpc_health_v1.HealthCheckRequest, grpc_health_v1.HealthCheckResponse](
			&http.Client{Transport: transport}, "http://"+l.Addr().String()+procedure, connect.WithGRPC())
		start := time.Now()
		res, err := client.CallUnary(t.Context(), connect.NewRequest(&grpc_health_v1.HealthCheckRequest{}))
		must(t, err)
		if res.Msg.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("got %v", res.Msg)
		}
		if d := time.Since(start); d < time.Hour+20*time.Millisecond || d > time.Hour+time.Second {
			t.Errorf("an hour's call over 10 ms took %v", d)
		}
		transport.CloseIdleConnections()
		must(t, server.Shutdown(t.Context()))
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestARedisInMemoryWorksInVirtualTimeWithPipelinesLongerThanABarePipeTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		m := miniredis.NewMiniRedis()
		m.ClockTTL(true)
		first, err := m.Dial() // makes it a server without a listener
		must(t, err)
		must(t, first.Close())
		l, err := n.Listen("redis:6379")
		must(t, err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				m.Server().ServeConn(c)
			}
		}()
		client := redis.NewClient(&redis.Options{
			Addr: "redis:6379", Dialer: n.Dialer("client"), Protocol: 2, DisableIdentity: true, MaxRetries: -1, ContextTimeoutEnabled: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		p := client.Pipeline()
		for range 500 {
			p.RPush(t.Context(), "list", "x")
		}
		_, err = p.Exec(t.Context())
		must(t, err)
		if got := client.LLen(t.Context(), "list").Val(); got != 500 {
			t.Errorf("%d elements", got)
		}
		must(t, client.Set(t.Context(), "mortal", "x", time.Hour).Err())
		<-time.After(time.Hour + time.Second)
		if got := client.Exists(t.Context(), "mortal").Val(); got != 0 {
			t.Error("a key outlived its virtual hour")
		}
		must(t, client.Close())
		must(t, l.Close())
		m.Close()
	})
}
