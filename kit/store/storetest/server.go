package storetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
)

// Server is a real redis-server in a directory of the test.
type Server struct {
	t      testing.TB
	path   string
	config string // a configuration file, or empty
	dir    string
	port   int
	args   []string

	process *exec.Cmd
	ended   chan struct{}
	output  *bytes.Buffer
}

// StartRedis starts a single server.
func StartRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	return startServer(t, args...)
}

func startServer(t testing.TB, args ...string) *Server {
	t.Helper()
	return startConfigured(t, "", append(slices.Clone(durable), args...)...)
}

// durable keeps every acknowledged write.
var durable = []string{"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}

func startConfigured(t testing.TB, config string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, path: find(t), config: config, dir: t.TempDir(), args: args}
	t.Cleanup(s.Kill9)
	// A free port may be taken before the server has it.
	var err error
	for range 3 {
		s.port = freePort(t)
		if err = s.start(); err == nil {
			return s
		}
	}
	t.Fatalf("cannot start redis-server: %v", err)
	return nil
}

// find skips the test, or fails it in CI, where redis-server is missing.
func find(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("redis-server is not on PATH; with CI=true that is a failure")
	}
	t.Skip("SKIPPED, NOT TESTED: redis-server is not on PATH")
	return ""
}

// maxPort leaves room for the bus of a Cluster, 10000 above.
const maxPort = 55000

func freePort(t testing.TB) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", net.JoinHostPort(Loopback(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < maxPort {
			return port
		}
	}
}

func (s *Server) start() error {
	var args []string
	if s.config != "" {
		args = append(args, s.config)
	}
	args = append(args, "--port", fmt.Sprint(s.port), "--bind", Loopback(), "--dir", s.dir, "--daemonize", "no")
	s.process = exec.Command(s.path, append(args, s.args...)...)
	s.output = &bytes.Buffer{}
	s.process.Stdout, s.process.Stderr = s.output, s.output
	dieWithParent(s.process)
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	process, ended := s.process, s.ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	return s.wait()
}

// wait returns when the server answers.
func (s *Server) wait() error {
	client := s.Client()
	defer client.Close() //nolint:errcheck // a test
	deadline := time.After(openTimeout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := client.Ping(ctx).Err()
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended: %s", s.output)
		case <-deadline:
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(10 * time.Millisecond): // the process gives no other signal
		}
	}
}

// Client is a plain client of this server; the caller closes it.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1})
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort(Loopback(), fmt.Sprint(s.port)) }

// URL is what store.Config takes.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Open opens a store on this server and stops it when the test ends.
func (s *Server) Open(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{URL: s.URL()}, store.Settings{})
}

// Kill9 kills the server with SIGKILL and waits until it is gone.
func (s *Server) Kill9() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
}

// Pause stops the server where it is, without its clients being told, until resume is called.
func (s *Server) Pause() (resume func()) {
	process := s.process.Process
	_ = process.Signal(syscall.SIGSTOP) // it may have been killed
	return func() { _ = process.Signal(syscall.SIGCONT) }
}

// Restart starts the server again, on the same port and data; it is killed first if it runs.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill9()
	if err := s.start(); err != nil {
		s.t.Fatalf("cannot start redis-server again: %v", err)
	}
}
