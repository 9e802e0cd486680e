// Command session runs the Tiltfile's local mode as `tilt ci -- --mode=local` would, where there is no Tilt (docs/cluster.md). It ends with 1 if that would be red.
//
//	session [-root DIRECTORY] [-press BUTTON,…] [-limit DURATION]
//	session -stay                as tilt up: no smoke test, until Ctrl-C
//
// VOW_CLUSTER_DATA and VOW_CLUSTER_PORTS are the Tiltfile's.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/session"
	"github.com/vow-os/vow/tools/cluster/tiltfile"
)

func main() {
	root := flag.String("root", ".", "the repository's root")
	press := flag.String("press", "", "buttons to press when all is well, by commas")
	stay := flag.Bool("stay", false, "go on until Ctrl-C")
	limit := flag.Duration("limit", 30*time.Minute, "how long it may take, unless it stays")
	flag.Parse()
	// SIGHUP too: a terminal that is closed shall leave nothing.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if !*stay {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, *limit, fmt.Errorf("cannot wait longer than %v", *limit))
		defer cancel()
	}
	if err := run(ctx, *root, *press, *stay); err != nil {
		fmt.Fprintln(os.Stderr, "session:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, press string, stay bool) error {
	environment := tiltfile.Environment()
	world := tiltfile.World{Settings: map[string]string{"mode": "local"}, Subcommand: "ci", Environment: environment}
	if stay {
		world.Subcommand = "up"
	}
	m, err := tiltfile.Evaluate(filepath.Join(root, "Tiltfile"), world)
	if err != nil {
		return err
	}
	logs := filepath.Join(cmp.Or(environment["VOW_CLUSTER_DATA"], filepath.Join(root, ".cache", "cluster")), "log")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%5.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	say("logs are in %s", logs)
	for _, line := range m.Printed {
		say("%s", line)
	}
	var buttons []string
	if press != "" {
		buttons = strings.Split(press, ",")
	}
	if err := session.Run(ctx, session.Options{Resources: m.Local, Press: buttons, Stay: stay, Logs: logs, Grace: session.TiltGrace, Say: say}); err != nil {
		return err
	}
	say("all was well, and has stopped")
	return nil
}
