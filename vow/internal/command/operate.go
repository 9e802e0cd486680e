package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newPs is `vow ps`: the processes of partitions anywhere.
func newPs(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "ps THING", GroupID: "look", Short: "Show the processes of a tree, an instance, a partition or a computer, wherever it is",
		Long:    "Show the processes of a tree, an instance, a partition or a computer, wherever it is.\n\n" + thingHelp,
		Example: "  vow ps hello\n  vow ps hello/web\n  vow ps laptop/slappart0 -o json",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeThing,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				found, err := spots(ctx, f, args[0])
				if err != nil {
					return err
				}
				return s.ps(ctx, f, found)
			})
		},
	}
}

func (s *session) ps(ctx context.Context, f *client.Fleet, found []spot) error {
	var failed error
	type at struct {
		spot
		Processes []jsonMessage `json:"processes"`
	}
	told, rows := []at{}, []*nodev1.Process{}
	for _, where := range found {
		processes, err := processesAt(ctx, f, where)
		if err != nil {
			failed = errors.Join(failed, err) // one node that is away hides no other
			continue
		}
		told = append(told, at{where, jsonMessages(processes)})
		for _, p := range processes {
			shown := proto.CloneOf(p)
			shown.Partition = where.Computer + "/" + p.GetPartition()
			rows = append(rows, shown)
		}
	}
	if s.json() {
		return errors.Join(s.object(told), failed)
	}
	if len(told) > 0 {
		return errors.Join(printProcesses(s, rows, time.Now()), failed)
	}
	return failed
}

// newPlan is `vow plan`: what a run of a partition anywhere would change.
func newPlan(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "plan THING", GroupID: "look", Short: "Show what a run of a partition would change, wherever it is; change nothing",
		Long:    "Show what a run of a partition would change, wherever it is; change nothing.\n\n" + thingHelp,
		Example: "  vow plan hello/web\n  vow plan laptop/slappart0",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeThing,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				at, err := oneSpot(ctx, f, args[0])
				if err != nil {
					return err
				}
				plan, err := f.NodeOf(at.Computer).Plan(ctx, &nodev1.PlanRequest{Partition: at.Partition})
				if err != nil {
					return away(ctx, f, at.Computer, fmt.Sprintf("cannot plan a run of %s", args[0]), err)
				}
				if s.json() {
					return s.message(plan)
				}
				return printPlan(s, plan, true)
			})
		},
	}
}

// newLogs is `vow logs`: the output of a process anywhere.
func newLogs(s *session) *cobra.Command {
	var follow bool
	var tail uint32
	command := &cobra.Command{
		Use: "logs THING [PROCESS]", GroupID: "look", Short: "Show the end of a process's output, wherever it is",
		Long: "Show the end of a process's output, wherever it is. PROCESS may be left out where there is only one.\n\n" + thingHelp +
			"\n\nA log that is followed waits for its reader: nothing is left out however slow that is. It ends when it is interrupted, and after 12 hours.",
		Example: "  vow logs hello/web\n  vow logs -f hello web-service\n  vow logs laptop/slappart0 web --tail 100000",
		Args:    arguments(cobra.RangeArgs(1, 2)), ValidArgsFunction: s.completeThingAndProcess,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				at, process, err := findProcess(ctx, f, args)
				if err != nil {
					return err
				}
				if follow {
					ctx = c.Context() // until it is interrupted
				}
				request := &nodev1.LogsRequest{Partition: at.Partition, Process: process, TailBytes: tail, Follow: follow}
				err = f.NodeOf(at.Computer).Logs(ctx, request, func(r *nodev1.LogsResponse) error {
					if s.json() {
						return s.object(map[string]any{"computer": at.Computer, "partition": at.Partition, "process": process, "output": string(r.GetOutput())})
					}
					_, err := s.out.Write(r.GetOutput())
					return err
				})
				if err != nil && ctx.Err() == nil {
					return away(ctx, f, at.Computer, fmt.Sprintf("cannot show the output of %s/%s", at, process), err)
				}
				return nil
			})
		},
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is added")
	command.Flags().Uint32Var(&tail, "tail", 4096, "how many bytes of the end, at most 1048576")
	return command
}

// findProcess finds the one process that is meant by THING [PROCESS].
func findProcess(ctx context.Context, f *client.Fleet, args []string) (spot, string, error) {
	found, err := spots(ctx, f, args[0])
	if err != nil {
		return spot{}, "", err
	}
	type candidate struct {
		at   spot
		name string
	}
	var matching []candidate
	var names []string
	for _, at := range found {
		processes, err := processesAt(ctx, f, at)
		if err != nil {
			return spot{}, "", err
		}
		for _, p := range processes {
			here := spot{at.Computer, p.GetPartition(), at.Title}
			names = append(names, here.String()+" "+p.GetName())
			if len(args) == 1 || args[1] == p.GetName() {
				matching = append(matching, candidate{here, p.GetName()})
			}
		}
	}
	switch {
	case len(matching) == 1:
		return matching[0].at, matching[0].name, nil
	case len(names) == 0:
		return spot{}, "", fmt.Errorf("cannot find a process of %q: it has none", args[0])
	case len(matching) == 0:
		return spot{}, "", fmt.Errorf("cannot find process %q of %q: there are %s", args[1], args[0], strings.Join(names, ", "))
	}
	return spot{}, "", usageError{fmt.Errorf("cannot tell which process of %q is meant: there are %s", args[0], strings.Join(names, ", "))}
}

// completeThing offers trees, their instances once a slash is typed, and computers.
func (s *session) completeThing(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	of, _, inside := strings.Cut(prefix, "/")
	if !inside {
		return s.completeThings(c, args, prefix)
	}
	var names []string
	_ = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
		found, err := spots(ctx, f, of)
		for _, at := range found {
			if at.Title != "" {
				names = append(names, of+"/"+at.Title)
				continue
			}
			processes, err := processesAt(ctx, f, at)
			if err != nil {
				return err
			}
			for _, p := range processes {
				names = append(names, of+"/"+p.GetPartition())
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeThingAndProcess offers things, then the processes of the one that was typed.
func (s *session) completeThingAndProcess(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return s.completeThing(c, args, prefix)
	}
	var names []string
	_ = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
		found, err := spots(ctx, f, args[0])
		for _, at := range found {
			processes, err := processesAt(ctx, f, at)
			if err != nil {
				return err
			}
			for _, p := range processes {
				names = append(names, p.GetName())
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}
