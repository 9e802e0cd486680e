package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/bench/report"
	node "github.com/vow-os/vow/svc-node/app"
)

// listeners is how many addresses are sensed in turn: a connection that was closed keeps its pair of ports for a minute, and
// one address would run out of them within seconds.
const listeners = 200

// measureBuiltin senses check_socket_listening of TCP addresses beside a bare dial and close of the same ones. The side that
// accepts is this process too.
func measureBuiltin(ctx context.Context, short bool, r *report.Report) error {
	dir, err := os.MkdirTemp("", "bench-promise")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	folder := filepath.Join(dir, "etc", "plugin")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	var addresses []string
	for i := range listeners {
		host := fmt.Sprintf("127.0.%d.1", i+1)
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return err
		}
		defer l.Close()
		go accept(l)
		addresses = append(addresses, l.Addr().String())
		declaration := fmt.Sprintf(`{"sensor": "check_socket_listening", "config": {"host": "%s", "port": %d}}`, host, l.Addr().(*net.TCPAddr).Port)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("p%d.json", i)), []byte(declaration), 0o600); err != nil {
			return err
		}
	}
	sensors, err := sensorsIn(dir)
	if err != nil {
		return err
	}
	defer sensors.Stop(ctx) //nolint:errcheck // it has nothing to lose
	var next atomic.Uint64
	ours := func() error {
		p := sensors.promises[next.Add(1)%listeners]
		g := sensors.Sense(ctx, node.Sensing{Partition: "slappart0", Directory: dir, Promise: p})
		if g.GetError() != "" || len(g.GetEntries()) != 1 || g.GetEntries()[0].GetLevel().String() != "LOG_LEVEL_INFO" {
			return fmt.Errorf("a sensor says %v", g)
		}
		return nil
	}
	var dialer net.Dialer
	bareDial := func() error {
		conn, err := dialer.DialContext(ctx, "tcp", addresses[next.Add(1)%listeners])
		if err != nil {
			return err
		}
		return conn.Close()
	}
	turns, each := 4, 2*time.Second
	if short {
		turns, each = 2, time.Second
	}
	var own, floor float64
	for range turns {
		rate, err := atOnce(runtime.NumCPU(), each, bareDial)
		if err != nil {
			return err
		}
		floor += rate / float64(turns)
		if rate, err = atOnce(runtime.NumCPU(), each, ours); err != nil {
			return err
		}
		own += rate / float64(turns)
	}
	r.AtLeast("built-in TCP sensors a second, floor: a bare dial", own, floor, 20000)
	return nil
}

// accept closes what comes.
func accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}
