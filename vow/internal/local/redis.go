package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxSocketPath is what the kernel takes for a unix socket, without the closing zero.
	maxSocketPath = 107
	// redisStart bounds how long a redis-server may load its append-only file.
	redisStart = 2 * time.Minute
	// redisPoll is how often a starting redis-server is asked; it has no way to tell.
	redisPoll = 5 * time.Millisecond
)

// server is a redis-server of ours, started or adopted.
type server struct {
	url    string
	client *redis.Client
	// exited is closed when the one that we started has ended; nil for an adopted one.
	exited chan struct{}
	log    *os.File
}

// startRedis starts a redis-server on a socket in the data directory, or adopts the one that a killed fleet left there.
func startRedis(ctx context.Context, d *directory) (*server, error) {
	s := &server{}
	arguments := []string{
		"--dir", d.join("redis"), "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction", "--latency-monitor-threshold", "100",
		"--daemonize", "no", "--loglevel", "notice",
	}
	options := &redis.Options{Network: "unix", Addr: d.join("redis", "redis.sock")}
	if len(options.Addr) <= maxSocketPath {
		s.url = "unix://" + options.Addr
		arguments = append(arguments, "--port", "0", "--unixsocket", options.Addr, "--unixsocketperm", "700")
	} else {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		options.Network, options.Addr = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s.url = "redis://" + options.Addr
		arguments = append(arguments, "--bind", "127.0.0.1", "--port", strconv.Itoa(port))
	}
	options.Protocol, options.DisableIdentity, options.MaxRetries = 2, true, -1
	s.client = redis.NewClient(options)
	if s.answers(ctx) {
		return s, nil
	}
	var err error
	if s.log, err = d.log("redis-server"); err != nil {
		return nil, fmt.Errorf("cannot write redis-server's log: %w", err)
	}
	command := exec.Command("redis-server", arguments...)
	command.Stdout, command.Stderr = s.log, s.log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C at the terminal is for vow, which stops it last
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start redis-server: %w; --embedded goes without it", err)
	}
	s.exited = make(chan struct{})
	go func() {
		_ = command.Wait() // why it ended is in its log
		close(s.exited)
	}()
	if err := s.wait(ctx); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// wait until it has loaded its data.
func (s *server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisStart)
	defer cancel()
	tick := time.NewTicker(redisPoll)
	defer tick.Stop()
	for !s.answers(ctx) {
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("cannot start redis-server: it ended at once; its log is %s", s.log.Name())
		case <-ctx.Done():
			return fmt.Errorf("cannot start redis-server: %w", ctx.Err())
		}
	}
	return nil
}

// answers tells whether it listens and has loaded its data. The client, which logs each failed dial, is asked only when somebody listens.
func (s *server) answers(ctx context.Context) bool {
	options := s.client.Options()
	conn, err := new(net.Dialer).DialContext(ctx, options.Network, options.Addr)
	if err != nil {
		return false
	}
	conn.Close()
	return s.client.Ping(ctx).Err() == nil
}

// stop asks it to end and waits.
func (s *server) stop(ctx context.Context) error {
	// SHUTDOWN answers by closing the connection; an error says nothing.
	_ = s.client.Shutdown(ctx).Err()
	err := s.client.Close()
	if s.exited != nil {
		select {
		case <-s.exited:
		case <-ctx.Done():
			err = errors.Join(err, fmt.Errorf("cannot stop redis-server: %w", ctx.Err()))
		}
		err = errors.Join(err, s.log.Close())
	}
	return err
}

// freePort asks the kernel for one; somebody else may take it in between, and then starting says so.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("cannot find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}
