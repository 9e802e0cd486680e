package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/endpoint"
	"github.com/vow-os/vow/vow/internal/sample"
)

// Version is what --version prints; the build stamps it.
var Version = "0.1.0-dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// callTimeout bounds a command that asks and prints; waiting commands have their own flags.
const callTimeout = 30 * time.Second

// alsoCSV is the annotation of commands whose output may be CSV.
const alsoCSV = "csv"

// session is what the commands of one command line share.
type session struct {
	out    io.Writer
	errOut io.Writer
	// format is text or json.
	format string
	// data is the data directory of `vow up` as given.
	data      string
	endpoints endpoint.Set
	absence   absence
}

// usageError is a command line that cannot be carried out as it was typed.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

// Run carries out one command line and returns the exit code.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	s := &session{out: out, errOut: errOut}
	root := newRoot(s)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var embedded errExit
	if errors.As(err, &embedded) {
		return embedded.code
	}
	fmt.Fprintln(errOut, "vow:", s.explain(err))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// newRoot declares the command line.
func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "vow",
		Short: "vow keeps the promises of services on a fleet of machines",
		Long: `vow keeps the promises of services on a fleet of machines.

Begin with "vow up": it starts the services, a node and a sample on this machine, and says what to try next.`,
		Version:       Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			formats := []string{"text", "json"}
			if _, ok := c.Annotations[alsoCSV]; ok {
				formats = append(formats, "csv")
			}
			if !slices.Contains(formats, s.format) {
				return usageError{fmt.Errorf("cannot write -o %q: want %s", s.format, strings.Join(formats, " or "))}
			}
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&s.format, "output", "o", "text", "`format` of the output: text or json")
	flags.StringVar(&s.data, "data", "", "data `directory` of vow up (default $XDG_STATE_HOME/vow)")
	flags.StringVar(&s.endpoints.Master, "master", "", "`address` of svc-master (VOW_MASTER_ADDRESS)")
	flags.StringVar(&s.endpoints.Scheduler, "scheduler", "", "`address` of svc-scheduler (VOW_SCHEDULER_ADDRESS)")
	flags.StringVar(&s.endpoints.Promise, "promise", "", "`address` of svc-promise (VOW_PROMISE_ADDRESS)")
	flags.StringVar(&s.endpoints.Node, "node", "", "`socket` of the local svc-node, unix:/path (VOW_NODE_ADDRESS)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("cannot run %s: %w; see %[1]s --help", c.CommandPath(), err)}
	})
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))

	root.AddGroup(&cobra.Group{ID: "local", Title: "This machine:"}, &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "act", Title: "Act:"})
	root.AddCommand(
		newUp(s), newDemo(s), newNode(s), newProfile(s), newStore(s),
		newStatus(s), newPs(s), newLogs(s), newPlan(s), newTree(s), newWhy(s), newTrace(s), newAgenda(s), newComputer(s), newSoftware(s), newPromise(s), newCrimes(s), newDoctor(s), newUsage(s), newAudit(s), newEvents(s), newWatch(s),
		newDiff(s), newExport(s),
		newBang(s), newRequest(s), newRename(s), newSupply(s), newApply(s),
		sample.Command(arguments(cobra.NoArgs)), newAgent(s), newSupervisor(s),
	)
	refuseUnknown(root)
	return root
}

// refuseUnknown has commands that only hold others refuse a word that is none of them: cobra shows their help instead, and ends with 0.
func refuseUnknown(c *cobra.Command) {
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
	if c.Runnable() || !c.HasSubCommands() {
		return
	}
	c.SuggestionsMinimumDistance = 2
	c.Args = cobra.ArbitraryArgs // else cobra refuses them in its own words
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := ""
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			hint = "; did you mean " + strings.Join(like, ", ") + "?"
		}
		return usageError{fmt.Errorf("cannot run %s %s: there is no such command%s; see %[1]s --help", c.CommandPath(), args[0], hint)}
	}
}

// arguments wraps a check of positional arguments so that a wrong count is a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("cannot run %s with %d arguments: want %s; see %[1]s --help", c.CommandPath(), len(args), c.UseLine())}
		}
		return nil
	}
}

// fleet makes the clients.
func (s *session) fleet() (*client.Fleet, error) {
	dir, err := endpoint.Directory(s.data)
	if err != nil && s.data != "" {
		return nil, err
	} // nobody's home: no `vow up` has left addresses there
	if s.data != "" && !endpoint.Written(dir) && !s.endpoints.Any() {
		// The fixed ports may be those of another directory's fleet: nobody who names a directory means that one.
		return nil, fmt.Errorf("cannot find a fleet in %s: no vow up runs on it; start one with `vow up --data %[1]s`, or leave --data out", s.data)
	}
	found, err := endpoint.Find(dir, s.endpoints)
	if err != nil {
		return nil, err
	}
	return client.New(found)
}

// with runs fn with clients and a bounded context.
func (s *session) with(ctx context.Context, fn func(context.Context, *client.Fleet) error) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return fn(ctx, f)
}

// explain adds what to do next to errors whose text cannot know it.
func (s *session) explain(err error) string {
	if rpc.CodeOf(err) == rpc.CodeUnimplemented {
		return err.Error() + "\n     what answers there is another service, or older than this command: --master, --scheduler and --promise say where each is"
	}
	if rpc.IsUnavailable(err) {
		return err.Error() + "\n     start the services with `vow up`, or say where they are with --master, --scheduler and --promise"
	}
	return err.Error()
}
