package builtin

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

func TestASocketThatListensPassesAndOneThatDoesNotFails(t *testing.T) {
	p := place(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		c := check(t, "check_socket_listening", map[string]string{"host": host, "port": strconv.Itoa(port)})
		address := fmt.Sprintf("('%s', %d)", host, port)
		if host == "::1" {
			address = fmt.Sprintf("('::1', %d, 0, 0)", port)
		}
		expect(t, sense(t, p, c), "INFO socket connection OK "+address)
		l.Close()
		expect(t, sense(t, p, c), "ERROR ConnectionRefusedError: [Errno 111] Connection refused")
		windows(t, c, Rule{}, Rule{3, 3}, true)
	}
}

func TestAUnixSocketIsReachedByPathAndByAbstractName(t *testing.T) {
	p := place(t)
	path := filepath.Join(p.Directory, "s")
	c := check(t, "check_socket_listening", map[string]string{"pathname": path})
	expect(t, sense(t, p, c), "ERROR FileNotFoundError: [Errno 2] No such file or directory")
	var l net.Listener
	if err := p.User.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	expect(t, sense(t, p, c), "INFO socket connection OK '"+path+"'")

	abstract, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", "@"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	expect(t, sense(t, p, check(t, "check_socket_listening", map[string]string{"abstract": path})), `INFO socket connection OK '\x00`+path+"'")
}

func TestAnAddressIsGivenInOneOfThreeForms(t *testing.T) {
	for _, keys := range [][]string{{}, {"port"}, {"host"}, {"host", "pathname"}, {"host", "abstract"}, {"pathname", "abstract"}} {
		config := map[string]string{}
		for _, key := range keys {
			config[key] = "1"
		}
		expect(t, sense(t, place(t), check(t, "check_socket_listening", config)), "ERROR "+addressUsage)
	}
}

func TestAConnectionThatIsNotMadeEndsWithItsTime(t *testing.T) {
	// A full queue of a listener that accepts nothing leaves a connection waiting.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	c := check(t, "check_socket_listening", map[string]string{"host": "127.0.0.1", "port": strconv.Itoa(name.(*unix.SockaddrInet4).Port)})
	p := place(t)
	for range 3 { // until the queue is full
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		got := said(c.Sense(ctx, NewMachine(child.NewRunner()), p))
		cancel()
		if got == "ERROR TimeoutError: [Errno 110] Connection timed out" {
			return
		}
	}
	t.Error("a connection that nobody answers is made")
}

func BenchmarkSocketListening(b *testing.B) {
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	c, _, err := Prepare("check_socket_listening", map[string]string{"host": "127.0.0.1", "port": strconv.Itoa(l.Addr().(*net.TCPAddr).Port)})
	if err != nil {
		b.Fatal(err)
	}
	m := NewMachine(child.NewRunner())
	b.ReportAllocs()
	for b.Loop() {
		if g := c.Sense(b.Context(), m, Place{}); g.GetEntries()[0].GetLevel() != typev1.LogLevel_LOG_LEVEL_INFO {
			b.Fatal(said(g))
		}
	}
}
