package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/vow/internal/client"
)

// promiseRun is what `vow promise run` is told.
type promiseRun struct {
	// partition is one of the local node, or what names one anywhere; empty = a directory, without a node.
	partition string
	app.PromiseRun
	configFile                      string
	runOnly                         string
	timeout                         float64
	console                         bool
	masterURL, certificate, key, id string
}

func newPromiseRun(s *session) *cobra.Command {
	r := &promiseRun{}
	command := &cobra.Command{
		Use: "run [NAME…]", Short: "Sense promises now and tell why each passes or fails",
		Long: `Sense promises now and tell why each passes or fails.

In a partition's directory no node is needed: root becomes the directory's owner, anybody else runs as who they are. With
--partition the partition's node senses them: one of this machine by its bare name, any other by tree, TREE/TITLE or COMPUTER/PARTITION. Tests are asked, or with --check-anomaly the anomaly detectors; then an
anomaly bangs. A NAME is a promise's, or its file's; without one all are sensed, as many at once as there are CPUs, and told as
they come. What is not due is not sensed again without --force (a node always senses): its last result counts. A dry run
writes nothing: no log, no result, no bang; what the promise's own code does it does.

The options are those of monitor.runpromise. The section [promises] of the file of --config gives what the command line does not.
Exit code 1: a promise failed.`,
		Example:           "  cd /srv/slapgrid/slappart0 && vow promise run --dry-run\n  vow promise run --partition-folder /srv/slapgrid/slappart0 -a web disk.py\n  vow promise run --partition slappart0 -o json\n  vow promise run --partition hello/web",
		ValidArgsFunction: r.complete(s),
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.settle(c, args); err != nil {
				return err
			}
			if r.partition != "" {
				return r.onNode(c.Context(), s)
			}
			return r.inDirectory(c.Context(), s)
		},
	}
	flags := command.Flags()
	flags.StringVar(&r.partition, "partition", "", "a `partition`: of the node on this machine, or TREE, TREE/TITLE, COMPUTER/PARTITION anywhere")
	flags.StringVarP(&r.Directory, "partition-folder", "p", "", "the partition's `directory` (default this one)")
	flags.StringVarP(&r.configFile, "config", "c", "", "`file` with a section [promises]")
	flags.StringVar(&r.runOnly, "run-only", "", "`names` of the promises to run, between blanks")
	flags.BoolVarP(&r.Anomaly, "check-anomaly", "a", false, "ask the anomaly detectors, not the tests; an anomaly bangs")
	flags.BoolVar(&r.Dry, "dry-run", false, "write nothing, bang nobody")
	flags.BoolVarP(&r.Force, "force", "f", false, "sense also what is not due")
	flags.Float64Var(&r.timeout, "promise-timeout", 0, "`seconds` that each may take (default what each says, or 20)")
	flags.BoolVar(&r.console, "console", false, "show all entries and windows, also of what passes")
	flags.BoolVarP(&r.Debug, "debug", "D", false, "Python promises log their debug entries too")
	flags.StringVarP(&r.LogFolder, "log-folder", "L", "", "`directory` of the promises' logs (default .slapgrid/promise/log)")
	flags.StringVar(&r.PIDFile, "pid-path", "", "`file` with the id of the process that runs; another one that lives ends this one")
	flags.StringVar(&r.masterURL, "master-url", "", "`address` of svc-master, for promises and for an anomaly's bang")
	flags.StringVar(&r.certificate, "partition-cert", "", "the partition's certificate `file`, for promises")
	flags.StringVar(&r.key, "partition-key", "", "its key `file`")
	flags.StringVar(&r.Partition, "partition-id", "", "the partition's `name` (default the directory's)")
	flags.StringVar(&r.id, "computer-id", "", "the computer's `name`")
	_ = command.RegisterFlagCompletionFunc("run-only", r.complete(s))
	_ = command.RegisterFlagCompletionFunc("partition", s.completePartitions)
	return command
}

// settle reads what the flags leave open from the file of --config, and checks all of it.
func (r *promiseRun) settle(c *cobra.Command, args []string) error {
	if r.configFile != "" {
		if err := r.read(c); err != nil {
			return err
		}
	}
	if r.partition != "" {
		for _, flag := range []string{"partition-folder", "log-folder", "pid-path", "config", "partition-id", "computer-id", "master-url", "partition-cert", "partition-key"} {
			if c.Flags().Changed(flag) {
				return usageError{fmt.Errorf("cannot use --%s with --partition: the node of this machine knows it", flag)}
			}
		}
	}
	if r.Directory == "" {
		r.Directory = "."
	}
	if r.timeout < 0 || r.timeout > 600 {
		return usageError{fmt.Errorf("cannot use --promise-timeout %g: want 0 to 600 seconds", r.timeout)}
	}
	r.Timeout = time.Duration(r.timeout * float64(time.Second))
	r.Names = append(args[:len(args):len(args)], strings.Fields(strings.ReplaceAll(r.runOnly, ",", " "))...)
	if r.Partition == "" {
		if path, err := filepath.Abs(r.Directory); err == nil {
			r.Partition = filepath.Base(path)
		}
	}
	return nil
}

// onNode has the partition's node sense them.
func (r *promiseRun) onNode(ctx context.Context, s *session) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	at, node, err := r.find(ctx, f)
	if err != nil {
		return err
	}
	t := &teller{s: s, run: r}
	err = node.SensePromises(ctx, &nodev1.SensePromisesRequest{
		Partition: at.Partition, Promises: r.Names, CheckAnomaly: r.Anomaly, DryRun: r.Dry, Debug: r.Debug, TimeoutSeconds: r.timeout,
	}, t.tell)
	if err != nil {
		return away(ctx, f, at.Computer, "cannot run the promises of "+r.partition, err)
	}
	return t.end()
}

// find finds the partition: one of the node on this machine by its bare name, else any by what names it.
func (r *promiseRun) find(ctx context.Context, f *client.Fleet) (spot, client.Node, error) {
	if f.Node != nil && !strings.Contains(r.partition, "/") {
		node := client.AtSocket(f.Node)
		status, err := node.GetStatus(ctx, &nodev1.GetStatusRequest{})
		here := func(p *nodev1.PartitionState) bool { return p.GetPartition() == r.partition }
		if err != nil || slices.ContainsFunc(status.GetPartitions(), here) {
			return spot{Computer: f.Endpoints.Computer, Partition: r.partition}, node, nil //nolint:nilerr // a node that does not answer says so when it is to sense
		}
	}
	at, err := oneSpot(ctx, f, r.partition)
	if err != nil {
		return spot{}, nil, err
	}
	return at, f.NodeOf(at.Computer), nil
}

// inDirectory senses them without a node.
func (r *promiseRun) inDirectory(ctx context.Context, s *session) error {
	config := map[string]any{}
	for key, value := range map[string]string{"computer-id": r.id, "master-url": r.masterURL, "partition-cert": r.certificate, "partition-key": r.key} {
		if value != "" {
			config[key] = value
		}
	}
	t := &teller{s: s, run: r}
	err := app.RunPromises(ctx, r.PromiseRun, config, func(p *nodev1.SensePromisesResponse) error { return t.tell(p) })
	switch {
	case errors.Is(err, app.ErrRunning):
		fmt.Fprintln(s.errOut, "vow:", err) // as in SlapOS no failure: that run tells
		return nil
	case errors.Is(err, app.ErrNoPartition):
		return usageError{fmt.Errorf("%w; go to a partition's directory, name it with --partition-folder, or one of the node with --partition", err)}
	case err != nil:
		return err
	}
	if t.anomaly != nil {
		if err := r.bang(ctx, s, t.anomaly); err != nil {
			return errors.Join(err, t.end())
		}
	}
	return t.end()
}

// complete offers the names of the promises.
func (r *promiseRun) complete(s *session) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if r.partition == "" {
			directory := r.Directory
			if directory == "" {
				directory = "."
			}
			promises, _ := app.PromisesOf(directory) // none, no offers
			for _, p := range promises {
				names = append(names, p.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		}
		_ = s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
			node, err := f.Node.GetStatus(ctx, &nodev1.GetStatusRequest{})
			for _, p := range node.GetPartitions() {
				if p.GetPartition() == r.partition && err == nil {
					var response *promisev1.ListPromisesResponse
					response, err = f.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: p.GetAllocationId()})
					for _, one := range response.GetPromises() {
						names = append(names, one.GetVerdict().GetPromise())
					}
				}
			}
			return err
		})
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completePartitions offers the partitions of the node that hold something.
func (s *session) completePartitions(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	_ = s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
		node, err := f.Node.GetStatus(ctx, &nodev1.GetStatusRequest{})
		for _, p := range node.GetPartitions() {
			if p.GetAllocationId() != "" {
				names = append(names, p.GetPartition())
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// read takes what the command line leaves open from the section [promises] of a file.
func (r *promiseRun) read(c *cobra.Command) error {
	cannot := func(format string, args ...any) error {
		return usageError{fmt.Errorf("cannot use --config "+r.configFile+": "+format, args...)}
	}
	content, err := os.ReadFile(r.configFile)
	if err != nil {
		return cannot("%w", err)
	}
	options, found := iniSection(string(content), "promises")
	if !found {
		return cannot("it has no section [promises]")
	}
	for _, name := range []string{
		"partition-cert", "partition-key", "partition-id", "pid-path", "computer-id", "check-anomaly", "master-url", "partition-folder", "promise-timeout",
		"log-folder", "run-only", "debug", "force", "dry-run", "console",
	} {
		value, ok := options[name]
		if !ok || value == "" || c.Flags().Changed(name) {
			continue
		}
		if err := c.Flags().Lookup(name).Value.Set(iniBool(name, value)); err != nil {
			return cannot("%s = %s: %w", name, value, err)
		}
	}
	return nil
}

// iniBool turns the words that profiles write for switches into those of flags.
func iniBool(name, value string) string {
	switch name {
	case "check-anomaly", "debug", "force", "dry-run", "console":
		switch strings.ToLower(value) {
		case "yes", "on":
			return "true"
		case "no", "off":
			return "false"
		}
	}
	return value
}

// iniSection reads one section of a file as Python's ConfigParser does: `key = value` or `key: value`, lines that begin with a
// blank continue the one before, `#` and `;` begin comments, %% is %.
func iniSection(content, section string) (options map[string]string, found bool) {
	options = map[string]string{}
	inside, last := false, ""
	for line := range strings.Lines(content) {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case text[0] == '[' && strings.HasSuffix(text, "]"):
			inside, last = text == "["+section+"]", ""
			found = found || inside
		case !inside:
		case (line[0] == ' ' || line[0] == '\t') && last != "":
			options[last] += " " + strings.ReplaceAll(text, "%%", "%")
		default:
			at := strings.IndexAny(text, "=:")
			if at < 0 {
				last = ""
				continue
			}
			last = strings.ToLower(strings.TrimSpace(text[:at]))
			options[last] = strings.ReplaceAll(strings.TrimSpace(text[at+1:]), "%%", "%")
		}
	}
	return options, found
}
