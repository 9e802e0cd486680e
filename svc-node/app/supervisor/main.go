package supervisor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/vow-os/vow/svc-node/internal/supervisor"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
)

// Exit codes of Main.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
	// ExitLocked says that another supervisor has the folder, which then is supervised.
	ExitLocked = 3
)

// Stub turns this process into a supervised one, if the supervisor created it for that; otherwise it returns at once.
func Stub() { supervisor.Stub() }

// Main runs a supervisor until everything has been stopped (SIGTERM, SIGINT, or a shutdown call) and returns its exit
// code. args are the arguments after the command's name:
//
//	--dir DIR [--cgroup PATH] [--verbose] [--agent -- ARGV…]
//
// It takes signals for itself and reaps all children of the process, so it cannot share its process with anything else.
// SIGUSR2 replaces it by its executable as it is on disk then, with os.Args, keeping all processes.
func Main(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("vow-supervisor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "", "folder of the journal and the control socket (required)")
	agent := flags.Bool("agent", false, "keep the agent running too; its command line follows after --")
	group := flags.String("cgroup", "", "cgroup v2 below which limited services have theirs, such as system.slice/vow-limits.service; the supervisor's own unless said")
	verbose := flags.Bool("verbose", false, "log every change of every process")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return ExitOK
		}
		return ExitUsage
	}
	switch {
	case *dir == "":
		return usage(stderr, "cannot supervise: --dir is missing")
	case *group != "" && !filepath.IsLocal(*group):
		return usage(stderr, fmt.Sprintf("cannot use --cgroup=%q: want a path below the root of cgroups, without a / before it", *group))
	case *agent && flags.NArg() == 0:
		return usage(stderr, "cannot keep the agent running: its command line is missing after --")
	case !*agent && flags.NArg() > 0:
		return usage(stderr, fmt.Sprintf("cannot use argument %q without --agent", flags.Arg(0)))
	}
	executable, err := os.Executable()
	if err != nil {
		return usage(stderr, "cannot find the supervisor's own executable: "+err.Error())
	}
	// A heap of 2 MB that is collected often costs less than it spares: 12 MB resident became under 10 with 300 services.
	debug.SetGCPercent(25)
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	err = supervisor.Run(supervisor.Config{
		Dir: *dir, Cgroup: *group, Agent: flags.Args(), Executable: executable, Args: os.Args,
		Log: slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})).With("service", "vow-supervisor"),
	})
	switch {
	case errors.Is(err, supervisor.ErrLocked):
		fmt.Fprintln(stderr, err)
		return ExitLocked
	case err != nil:
		fmt.Fprintln(stderr, err)
		return ExitFailure
	}
	return ExitOK
}

func usage(stderr io.Writer, message string) int {
	fmt.Fprintln(stderr, message)
	return ExitUsage
}

// WaitReady returns when the supervisor of a folder answers, with its process id.
func WaitReady(ctx context.Context, dir string) (pid int, err error) {
	client, err := supervisorapi.Dial(ctx, dir)
	if err != nil {
		return 0, err
	}
	info, err := client.Info(ctx)
	return info.PID, err
}

// Running reports whether a supervisor of the folder answers now.
func Running(ctx context.Context, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := supervisorapi.New(dir).Info(ctx)
	return err == nil
}

// Shutdown stops everything that the supervisor of a folder keeps running, the agent first, and the supervisor. It
// returns when nothing runs any more.
func Shutdown(ctx context.Context, dir string) error {
	return supervisorapi.New(dir).Shutdown(ctx)
}
