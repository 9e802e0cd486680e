package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/endpoint"
	"github.com/vow-os/vow/vow/internal/local"
)

const (
	// greenTimeout bounds the wait for the sample: its release is copied and three partitions run, which takes a second.
	greenTimeout = time.Minute
	// stopTimeout bounds the stop: services have a grace time of their own.
	stopTimeout = 30 * time.Second
)

// validComputer is what a computer may be called.
var validComputer = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// upFlags are the flags of `vow up`.
type upFlags struct {
	redis, computer, console, traceURL, notify string
	embedded, bare                             bool
	noAdmin                                    bool
	partitions                                 int
}

// newUp is `vow up`: the fleet of one machine.
func newUp(s *session) *cobra.Command {
	var u upFlags
	command := &cobra.Command{
		Use: "up", GroupID: "local", Short: "Run the services, a node and a sample on this machine",
		Long: `Run the services in one process, the supervisor and the agent beside it, and a sample tree on this machine.

Ctrl-C stops everything. After a kill -9 the services of instances live on, and the next vow up on the same directory adopts them.

Of two at once on a machine the second needs a directory and ports of its own: --data DIR --no-admin, and 127.0.0.1:0 for --master, --scheduler,
--promise and --console. Other commands with the same --data find it.`,
		Example: "  vow up\n  vow up --data /tmp/second --no-admin --master 127.0.0.1:0 --scheduler 127.0.0.1:0 --promise 127.0.0.1:0 --console 127.0.0.1:0",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config, err := s.upConfig(u)
			if err != nil {
				return err
			}
			return runLocal(ctx, config, func(fleet *local.Fleet, f *client.Fleet) error {
				if err := s.present(ctx, fleet, f, !u.bare); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
					fmt.Fprintln(s.errOut, "stopping")
					return nil
				case err := <-fleet.Failed():
					return err
				}
			})
		},
	}
	flags := command.Flags()
	flags.StringVar(&u.redis, "redis", "", "`URL` of a Redis to use instead of a redis-server of our own")
	flags.BoolVar(&u.embedded, "embedded", false, "use the embedded store even when there is a redis-server on PATH")
	flags.StringVar(&u.computer, "computer", "", "`name` of this computer (default: the host's name)")
	flags.IntVar(&u.partitions, "partitions", 10, "`number` of partitions of this computer")
	flags.BoolVar(&u.noAdmin, "no-admin", false, "open no admin ports (metrics, profiles, readiness)")
	flags.StringVar(&u.console, "console", endpoint.Console, "`address` of the web console, host:port; empty for none")
	flags.StringVar(&u.traceURL, "trace-url", "", "`URL` of a trace in your trace backend, with {trace_id} in it, for the console to link to")
	flags.StringVar(&u.notify, "notify", "", "`file` with whom the console tells of Red trees, refused bangs and dead computers (docs/notifications.md)")
	flags.BoolVar(&u.bare, "bare", false, "do not request the sample")
	return command
}

// upConfig is where to listen: the fixed ports, or what flags and environment say.
func (s *session) upConfig(u upFlags) (local.Config, error) {
	dir, err := endpoint.Directory(s.data)
	if err != nil {
		return local.Config{}, err
	}
	// A directory without an endpoints file: what another vow up wrote there is not where this one shall listen.
	at, err := endpoint.Find("", s.endpoints)
	if err != nil {
		return local.Config{}, err
	}
	if u.computer != "" && !validComputer.MatchString(u.computer) {
		return local.Config{}, usageError{fmt.Errorf("cannot have --computer %q: want 1 to 63 characters of a-z, 0-9 and -", u.computer)}
	}
	if u.partitions < 1 || u.partitions > 1000 {
		return local.Config{}, usageError{fmt.Errorf("cannot have --partitions %d: want 1 to 1000", u.partitions)}
	}
	if u.notify != "" && u.console == "" {
		return local.Config{}, usageError{fmt.Errorf("cannot --notify %s: the console tells people, and --console is empty", u.notify)}
	}
	at.Console = u.console
	if u.computer == "" {
		u.computer = computerName()
	}
	admin := endpoint.Set{Master: endpoint.MasterAdmin, Scheduler: endpoint.SchedulerAdmin, Promise: endpoint.PromiseAdmin, Console: endpoint.ConsoleAdmin, Node: endpoint.NodeAdmin}
	if u.noAdmin {
		admin = endpoint.Set{}
	}
	return local.Config{
		Directory: dir, Redis: u.redis, Embedded: u.embedded, Computer: u.computer, Partitions: u.partitions, Version: Version, Endpoints: at, Admin: admin, TraceURL: u.traceURL, Notify: u.notify,
	}, nil
}

// runLocal starts a fleet, hands it over with clients, and stops it.
func runLocal(ctx context.Context, config local.Config, fn func(*local.Fleet, *client.Fleet) error) (err error) {
	fleet, err := local.New(config)
	if err != nil {
		return usageError{err}
	}
	if err := fleet.Start(ctx); errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w\n     another vow up or another program has that port: stop it, or name other addresses with --master, --scheduler, --promise and --console\n"+
			"     (127.0.0.1:0 takes a free port), and --no-admin", err)
	} else if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if stopErr := fleet.Stop(ctx); err == nil {
			err = stopErr
		}
	}()
	f, err := client.New(fleet.Endpoints())
	if err != nil {
		return err
	}
	defer f.Close()
	return fn(fleet, f)
}

// present requests the sample, waits until it is Green, and says what runs where and what to try next.
func (s *session) present(ctx context.Context, fleet *local.Fleet, f *client.Fleet, withSample bool) error {
	e := fleet.Endpoints()
	if !s.json() {
		fmt.Fprintf(s.out, "vow %s, data in %s\n\n", Version, fleet.Directory())
		rows := [][]string{
			{"svc-master", e.Master}, {"svc-scheduler", e.Scheduler}, {"svc-promise", e.Promise}, {"svc-node", e.Node}, {"store", fleet.Store()},
		}
		if e.Console != "" {
			rows = append(rows, []string{"console", "http://" + e.Console})
		}
		if err := table(s.out, rows); err != nil {
			return err
		}
		fmt.Fprintln(s.out)
	}
	var tree *masterv1.Tree
	if withSample {
		began := time.Now()
		var err error
		tree, err = requestSample(ctx, fleet.Directory(), e.Computer, f)
		switch {
		case err != nil && (tree == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)):
			return err
		case err != nil: // the fleet runs, and whoever looks why needs it
			fmt.Fprintf(s.errOut, "vow: %v\n     %s why %s says more; what runs goes on\n\n", err, commandName(fleet), tree.GetTitle())
		case !s.json():
			fmt.Fprintf(s.out, "tree %s is %s after %s\n\n", tree.GetTitle(), colour(tree.GetColour()), human.Span(time.Since(began)))
		}
	}
	if s.json() {
		result := map[string]any{"endpoints": e, "store": fleet.Store(), "directory": fleet.Directory()}
		if tree != nil {
			result["tree"] = jsonMessage{tree}
		}
		return s.object(result)
	}
	name := commandName(fleet)
	if tree == nil {
		fmt.Fprintf(s.out, `
Next, in another terminal:
  %[1]s supply RELEASE %[2]s --wait 10m   have a software release on this computer
  %[1]s request TITLE RELEASE   have an instance of it
  %[1]s status                  what is Green and what is Red
`, name, e.Computer)
		return nil
	}
	if err := s.printSample(ctx, f, tree); err != nil {
		return err
	}
	fmt.Fprintf(s.out, `
Try next, in another terminal:
  %[1]s status                what is Green and what is Red
  %[1]s node ps               the processes; kill -9 one of them, then
  %[1]s trace hello           the way from that bang to convergence
  %[1]s bang hello --wait 10s make every partition run again
  %[1]s agenda                when each partition runs next, and why
`, name)
	return nil
}

// printSample says what runs where.
func (s *session) printSample(ctx context.Context, f *client.Fleet, tree *masterv1.Tree) error {
	rows := [][]string{{"INSTANCE", "PARTITION", "COLOUR", "PUBLISHED"}}
	for _, i := range tree.GetInstances() {
		var published []string
		for _, key := range sortedKeys(i.GetConnectionParameters()) {
			if value := i.GetConnectionParameters()[key]; strings.Contains(value, "://") {
				published = append(published, key+"="+value)
			}
		}
		rows = append(rows, []string{i.GetTitle(), place(i), colour(i.GetStatus().GetColour()), strings.Join(published, " ")})
	}
	return table(s.out, rows)
}

// commandName is how the person can call vow again.
func commandName(fleet *local.Fleet) string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./vow" // `go run` made this executable, and will make it again
	}
	if filepath.Base(os.Args[0]) == os.Args[0] {
		return os.Args[0]
	}
	return fleet.Executable()
}

// computerName is the host's name as far as it can be one.
func computerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	name := strings.Trim(strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}, host), "-")
	if name == "" || len(name) > 63 {
		return "computer"
	}
	return name
}
