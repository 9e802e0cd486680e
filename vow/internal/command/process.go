package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newNodeProcess are the commands on one process of the node on this machine.
func newNodeProcess(s *session) []*cobra.Command {
	commands := []*cobra.Command{newNodeLogs(s)}
	for _, c := range []struct {
		use, short, done string
		action           nodev1.ProcessAction
	}{
		{"start", "Start a process now, by hand", "started", nodev1.ProcessAction_PROCESS_ACTION_START},
		{"stop", "Stop a process, by hand, until the next run", "stopped", nodev1.ProcessAction_PROCESS_ACTION_STOP},
		{"restart", "Stop a process and start it again, by hand", "restarted", nodev1.ProcessAction_PROCESS_ACTION_RESTART},
	} {
		commands = append(commands, &cobra.Command{
			Use: c.use + " PARTITION/PROCESS", Short: c.short,
			Long:    c.short + ".\n\nThis is for debugging: the next run of the partition restores the desired state. A stop asked for does not bang.",
			Example: "  vow node " + c.use + " slappart0/web",
			Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeProcesses,
			RunE: func(command *cobra.Command, args []string) error {
				partition, process, err := processName(args[0])
				if err != nil {
					return err
				}
				return s.withNode(command.Context(), func(ctx context.Context, f *client.Fleet) error {
					response, err := f.Node.ControlProcess(ctx, &nodev1.ControlProcessRequest{Partition: partition, Process: process, Action: c.action})
					if err != nil {
						return fmt.Errorf("cannot %s %s: %w", c.use, args[0], err)
					}
					if s.json() {
						return s.message(response)
					}
					fmt.Fprintf(s.out, "%s is %s by hand: it is %s. The next run of %s restores the desired state.\n",
						args[0], c.done, response.GetProcess().GetState(), partition)
					return nil
				})
			},
		})
	}
	return commands
}

// newNodeLogs is `vow node logs`: the output of a process.
func newNodeLogs(s *session) *cobra.Command {
	var follow bool
	var tail uint32
	command := &cobra.Command{
		Use: "logs PARTITION/PROCESS", Short: "Show the end of a process's output", Example: "  vow node logs -f slappart0/web",
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeProcesses,
		RunE: func(c *cobra.Command, args []string) error {
			partition, process, err := processName(args[0])
			if err != nil {
				return err
			}
			return s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				if follow {
					ctx = c.Context() // until it is interrupted
				}
				stream, err := f.Node.Logs(ctx, &nodev1.LogsRequest{Partition: partition, Process: process, TailBytes: tail, Follow: follow})
				if err != nil {
					return fmt.Errorf("cannot show the output of %s: %w", args[0], err)
				}
				defer stream.Close() //nolint:errcheck // only read from
				for stream.Receive() {
					if _, err := s.out.Write(stream.Msg().GetOutput()); err != nil {
						return fmt.Errorf("cannot show the output of %s: %w", args[0], err)
					}
				}
				if err := stream.Err(); err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
					return fmt.Errorf("cannot show the output of %s: %w", args[0], err)
				}
				return nil
			})
		},
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is added")
	command.Flags().Uint32Var(&tail, "tail", 4096, "how many bytes of the end, at most 1048576")
	return command
}

// processName splits what ps shows in two columns.
func processName(name string) (partition, process string, err error) {
	partition, process, ok := strings.Cut(name, "/")
	if !ok || partition == "" || process == "" {
		return "", "", usageError{fmt.Errorf("cannot find process %q: want PARTITION/PROCESS, as `vow node ps` shows them", name)}
	}
	return partition, process, nil
}

// completeProcesses offers the processes of the node on this machine.
func (s *session) completeProcesses(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		_ = s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error {
			response, err := f.Node.ListProcesses(ctx, &nodev1.ListProcessesRequest{})
			for _, p := range response.GetProcesses() {
				names = append(names, p.GetPartition()+"/"+p.GetName())
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func printProcesses(s *session, processes []*nodev1.Process, now time.Time) error {
	rows := [][]string{{"PARTITION", "PROCESS", "STATE", "PID", "SINCE", "CPU", "MEMORY", "RESTARTS", "NEXT TRY", "LAST EXIT"}}
	for _, p := range processes {
		pid, cpu, memory := "-", "-", "-"
		if p.GetPid() != 0 {
			pid, cpu, memory = fmt.Sprint(p.GetPid()), fmt.Sprintf("%.2f s", p.GetCpuSeconds()), fmt.Sprintf("%.1f MB", float64(p.GetMemoryBytes())/1e6)
		}
		rows = append(rows, []string{
			p.GetPartition(), p.GetName(), p.GetState(), pid, age(p.GetSince(), now), cpu, memory, fmt.Sprint(p.GetRestarts()),
			until(p.GetNextTry(), now), p.GetLastExit(),
		})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	for _, p := range processes {
		if p.GetProblem() != "" {
			fmt.Fprintf(s.out, "%s/%s: %s\n", p.GetPartition(), p.GetName(), p.GetProblem())
		}
	}
	return nil
}
