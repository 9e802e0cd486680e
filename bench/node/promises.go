package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vow-os/vow/bench/report"
)

// What is sensed: 20 partitions with 50 built-in promises each.
const (
	sensedPartitions = 20
	sensedEach       = 50
)

// promises measures an agent that senses a thousand built-in promises once a minute, each a TCP connection, with all that
// follows: the log, the status files, the stream to svc-promise.
func (l *local) promises(ctx context.Context, s size, r *report.Report) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	release, err := l.release("sensed", sensedProfile(listener.Addr().(*net.TCPAddr).Port))
	if err != nil {
		return err
	}
	for i := range sensedPartitions {
		if _, err := l.vow(ctx, "request", fmt.Sprintf("sensed-%d", i), release, "--wait", "2m"); err != nil {
			return err
		}
	}
	_, grown, err := l.steady(ctx, s.idle)
	if err != nil {
		return err
	}
	const tick = 10 * time.Millisecond // threads that ended are counted too
	took := time.Duration(grown.ticks) * tick
	r.AtMost(fmt.Sprintf("agent %% of a core, %d built-in TCP promises at a period of a minute", sensedPartitions*sensedEach), 100*took.Seconds()/s.idle.Seconds(), 0, 5)
	return nil
}

func sensedProfile(port int) string {
	var b strings.Builder
	b.WriteString("[buildout]\nparts =\n")
	for i := range sensedEach {
		fmt.Fprintf(&b, "  promise-%d\n", i)
	}
	for i := range sensedEach {
		fmt.Fprintf(&b, "\n[promise-%d]\nrecipe = slapos.cookbook:promise.plugin\nmodule = check_socket_listening\noutput = ${buildout:directory}/etc/plugin/promise-%d.py\n"+
			"config-host = 127.0.0.1\nconfig-port = %d\nconfig-frequency = 1\n", i, i, port)
	}
	return b.String()
}

// only carries out one measure by name, for who works on it: VOW_BENCH_ONLY=promises.
func only() string { return os.Getenv("VOW_BENCH_ONLY") }
