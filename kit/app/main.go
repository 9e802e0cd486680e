package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Bounds of the two halves of a life, unless the Program sets others.
const (
	// DefaultStartTimeout is long because services start in any order and wait for what they need.
	DefaultStartTimeout = 5 * time.Minute
	// DefaultStopTimeout is below the 30 s that orchestrators and systemd allow before they kill.
	DefaultStopTimeout = 20 * time.Second
)

// Exit codes of Run.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
	// ExitForced is the code after a second signal: 128 + SIGINT, what a shell reports for an interrupted command.
	ExitForced = 130
)

// Program describes a command to Main.
type Program struct {
	// Name is what the user typed, for example "svc-master".
	Name string
	// Summary is the first line of --help.
	Summary string
	// Version is what --version prints; the build stamps it.
	Version string
	// EnvPrefix, for example "VOW_MASTER", makes every flag settable by an environment variable: --redis-url is
	// VOW_MASTER_REDIS_URL. Empty means "VOW".
	EnvPrefix string
	// Vars replace ${name} in the tags of the configuration, for example its default addresses.
	Vars map[string]string
	// StartTimeout and StopTimeout bound Start and Stop; zero means the defaults above.
	StartTimeout, StopTimeout time.Duration
}

// Build makes the service from its configuration. The context ends when the process was asked to stop.
type Build[C any] func(ctx context.Context, cfg C) (Service, error)

// Main is the main function of a service: it parses the command line and environment into C, builds the service,
// starts it, waits for SIGINT or SIGTERM or until the service fails, and stops it. It does not return.
//
// C is a struct with kong tags; if it has a method Validate() error, that decides before anything is built.
func Main[C any](p Program, build Build[C]) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(Run(p, os.Args[1:], os.Stdout, os.Stderr, signals, build))
}

// Run is Main without the process: it returns the exit code. signals carries what Main gets from the system; a second
// signal ends a stop that takes too long.
func Run[C any](p Program, args []string, stdout, stderr io.Writer, signals <-chan os.Signal, build Build[C]) int {
	var cfg C
	code, err := parse(p, &cfg, args, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return ExitUsage
	}
	if code >= 0 {
		return code
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- live(ctx, p, cfg, build) }()

	asked := false
	for {
		select {
		case err := <-result:
			if err != nil {
				fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
				return ExitFailed
			}
			return ExitOK
		case <-signals:
			if asked {
				fmt.Fprintf(stderr, "%s: a second signal: not waiting for the stop\n", p.Name)
				return ExitForced
			}
			asked = true
			cancel()
		}
	}
}

// live is one life of a service: build, start, wait, stop.
func live[C any](ctx context.Context, p Program, cfg C, build Build[C]) error {
	service, err := build(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	startCtx, cancelStart := context.WithTimeout(ctx, orDefault(p.StartTimeout, DefaultStartTimeout))
	defer cancelStart()
	startErr := service.Start(startCtx)
	if startErr == nil {
		if f, ok := service.(Failing); ok {
			select {
			case <-ctx.Done():
			case <-f.Done():
				startErr = f.Err()
			}
		} else {
			<-ctx.Done()
		}
	} else if ctx.Err() != nil && errors.Is(startErr, context.Canceled) {
		startErr = nil // asked to stop while it started: that is no failure
	}

	stopCtx, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), orDefault(p.StopTimeout, DefaultStopTimeout))
	defer cancelStop()
	if err := service.Stop(stopCtx); startErr == nil {
		return err
	}
	return startErr
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
