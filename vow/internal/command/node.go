package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// errNoNode is told when no local node is known.
var errNoNode = errors.New("cannot find a node on this machine: start one with `vow up`, or name its socket with --node unix:/path")

// newNode is `vow node`: what the node on this machine does.
func newNode(s *session) *cobra.Command {
	node := &cobra.Command{Use: "node", GroupID: "local", Short: "Look at the node on this machine"}
	node.AddCommand(&cobra.Command{
		Use: "ps [PARTITION]", Short: "Show the supervised processes",
		Args: arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completePartitions,
		RunE: func(c *cobra.Command, args []string) error {
			return s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				request := &nodev1.ListProcessesRequest{}
				if len(args) == 1 {
					request.Partition = args[0]
				}
				response, err := f.Node.ListProcesses(ctx, request)
				if err != nil {
					return fmt.Errorf("cannot list processes: %w", err)
				}
				if s.json() {
					return s.message(response)
				}
				return printProcesses(s, response.GetProcesses(), time.Now())
			})
		},
	}, &cobra.Command{
		Use: "status", Short: "Show the node's streams and partitions",
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Node.GetStatus(ctx, &nodev1.GetStatusRequest{})
				if err != nil {
					return fmt.Errorf("cannot get the node's status: %w", err)
				}
				if s.json() {
					return s.message(response)
				}
				return printNode(s, response, time.Now())
			})
		},
	})
	node.AddCommand(newNodePlan(s), newNodeFormat(s), newNodeRegister(s))
	node.AddCommand(newNodeProcess(s)...)
	return node
}

// withNode runs fn when there is a local node.
func (s *session) withNode(ctx context.Context, fn func(context.Context, *client.Fleet) error) error {
	return s.with(ctx, func(ctx context.Context, f *client.Fleet) error {
		if f.Node == nil {
			return errNoNode
		}
		return fn(ctx, f)
	})
}

func printNode(s *session, n *nodev1.GetStatusResponse, now time.Time) error {
	fmt.Fprintf(s.out, "%s, version %s, %d spooled\n\n", n.GetComputer(), n.GetVersion(), n.GetSpooled())
	if n.GetDisk() != "" {
		fmt.Fprintf(s.out, "disk: %s\n\n", n.GetDisk())
	}
	rows := [][]string{{"STREAM", "CONNECTED", "SINCE", "ERROR"}}
	for _, l := range n.GetLinks() {
		rows = append(rows, []string{l.GetName(), fmt.Sprint(l.GetConnected()), age(l.GetSince(), now), human.OneLine(l.GetError(), 80)})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	rows = [][]string{{"PARTITION", "INSTANCE", "STATE", "LATEST", "ENDED", "ERROR"}}
	for _, p := range n.GetPartitions() {
		if p.GetAllocationId() == "" {
			continue
		}
		rows = append(rows, []string{p.GetPartition(), p.GetTitle(), human.Word(p.GetState(), "REQUESTED_STATE_"), human.Word(p.GetLatest(), "RUN_RESULT_"), age(p.GetEndedAt(), now), human.OneLine(p.GetError(), 80)})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	for _, p := range n.GetPartitions() {
		for _, problem := range p.GetProblems() {
			fmt.Fprintf(s.out, "\nproblem of %s (%s):\n%s\n", p.GetPartition(), p.GetTitle(), indent(problem))
		}
	}
	return nil
}
