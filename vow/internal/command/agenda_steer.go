package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

func newAgendaPause(s *session) *cobra.Command {
	var span, reason string
	command := &cobra.Command{
		Use: "pause TREE|COMPUTER", Short: "Keep a tree, or a computer, from running for a while; what becomes due waits",
		Example: "  vow agenda pause hello --for 2h --reason 'moving the database'\n  vow agenda pause computer/rack7 --for 30m --reason 'new kernel'",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			if span == "" || reason == "" {
				return usageError{errors.New("cannot pause without --for and --reason: somebody will ask")}
			}
			now := time.Now()
			end, err := moment("for", span, now, true)
			if err != nil {
				return err
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				tree, computer, err := treeOrComputer(ctx, f, args[0])
				if err != nil {
					return fmt.Errorf("cannot pause %q: %w", args[0], err)
				}
				request := &schedulerv1.PauseRequest{
					Duration: durationpb.New(end.Sub(now)), Reason: reason, By: whoami(), Target: &schedulerv1.PauseRequest_Computer{Computer: computer},
				}
				if tree != nil {
					request.Target = &schedulerv1.PauseRequest_TreeId{TreeId: tree.GetTreeId()}
				}
				response, err := f.Agenda.Pause(ctx, request)
				if err != nil {
					return fmt.Errorf("cannot pause %q: %w", args[0], err)
				}
				if s.json() {
					return s.message(response)
				}
				fmt.Fprintf(s.out, "%s is paused until %s\n", paused(tree, computer), clock(response.GetPause().GetUntil()))
				return nil
			})
		},
	}
	command.Flags().StringVar(&span, "for", "", "how `long`, as 90m or 7d, or a time when it ends; at most 30d")
	command.Flags().StringVar(&reason, "reason", "", "why, for people")
	return command
}

func newAgendaResume(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "resume TREE|COMPUTER", Short: "End a pause now: what is due runs",
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				tree, computer, err := treeOrComputer(ctx, f, args[0])
				if err != nil {
					return fmt.Errorf("cannot resume %q: %w", args[0], err)
				}
				request := &schedulerv1.ResumeRequest{By: whoami(), Target: &schedulerv1.ResumeRequest_Computer{Computer: computer}}
				if tree != nil {
					request.Target = &schedulerv1.ResumeRequest_TreeId{TreeId: tree.GetTreeId()}
				}
				if _, err := f.Agenda.Resume(ctx, request); err != nil {
					return fmt.Errorf("cannot resume %q: %w", args[0], err)
				}
				if !s.json() {
					fmt.Fprintf(s.out, "%s is no longer paused\n", paused(tree, computer))
				}
				return nil
			})
		},
	}
}

func paused(tree *masterv1.Tree, computer string) string {
	if tree != nil {
		return "tree " + tree.GetTitle()
	}
	return "computer " + computer
}

// treeOrComputer is what a name means: tree/NAME and computer/NAME say it, a bare name must be one of them only.
func treeOrComputer(ctx context.Context, f *client.Fleet, name string) (tree *masterv1.Tree, computer string, err error) {
	kind, rest, said := strings.Cut(name, "/")
	switch {
	case said && kind == "computer":
		return nil, rest, nil
	case said && kind == "tree":
		tree, err = getTree(ctx, f, rest)
		return tree, "", err
	}
	tree, err = getTree(ctx, f, name)
	if err != nil && !rpc.IsNotFound(err) {
		return nil, "", err
	}
	_, missing := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: name})
	switch {
	case tree != nil && missing == nil:
		return nil, "", usageError{fmt.Errorf("a tree and a computer have that name; say tree/%[1]s or computer/%[1]s", name)}
	case tree != nil:
		return tree, "", nil
	case rpc.IsNotFound(missing):
		return nil, "", fmt.Errorf("there is no tree and no computer of that name: %w", missing)
	}
	return nil, name, missing
}

func newAgendaCancel(s *session) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "cancel COMPUTER/PARTITION|CONVERGENCE", Short: "Take out runs that are due or wait with a delay; the periodic run is next",
		Long: "Take out the runs of a partition that are due, or wait with a delay: manual, bang, changed, boot, retry. The periodic run is next, or whatever comes meanwhile. " +
			"What is wanted stays wanted. A run that began, and an order that was handed over, cannot be cancelled.\n\n" +
			"Of a convergence (or a bang of it): it is abandoned, and the runs that its members still wait for are taken out.",
		Example: "  vow agenda cancel laptop/slappart0 --reason 'the disk is on order'\n  vow agenda cancel t0123456789ab.c4 --reason hopeless",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				if treeID.MatchString(args[0]) {
					return cancelConvergence(ctx, s, f, args[0], reason)
				}
				computer, partition, ok := strings.Cut(args[0], "/")
				if !ok {
					return usageError{fmt.Errorf("cannot cancel %q: want COMPUTER/PARTITION or the id of a convergence", args[0])}
				}
				response, err := cancelRun(ctx, f, computer, partition, reason)
				if err != nil {
					return fmt.Errorf("cannot cancel: %w", err)
				}
				if s.json() {
					return s.message(response)
				}
				fmt.Fprintln(s.out, cancelled(response))
				return nil
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for people")
	return command
}

func cancelRun(ctx context.Context, f *client.Fleet, computer, partition, reason string) (*schedulerv1.CancelResponse, error) {
	return f.Agenda.Cancel(ctx, &schedulerv1.CancelRequest{RequestId: uuid.NewString(), Computer: computer, Partition: partition, Reason: reason, By: whoami()})
}

// cancelConvergence abandons it and takes out what its members wait for. A member whose run is under way is told, and is no error.
func cancelConvergence(ctx context.Context, s *session, f *client.Fleet, id, reason string) error {
	response, err := f.Convergences.AbandonConvergence(ctx, &masterv1.AbandonConvergenceRequest{Id: id, Reason: reason, By: whoami()})
	if err != nil {
		return fmt.Errorf("cannot cancel convergence %q: %w", id, err)
	}
	c := response.GetConvergence()
	if s.json() {
		defer func() { _ = s.message(response) }()
	} else {
		fmt.Fprintf(s.out, "convergence %s: %s\n", c.GetConvergenceId(), human.OneLine(strings.TrimSuffix(human.Word(c.GetState(), "CONVERGENCE_STATE_")+" "+c.GetReason(), " "), 160))
	}
	for _, m := range c.GetMembers() {
		if m.GetSettled() || c.GetState() != masterv1.ConvergenceState_CONVERGENCE_STATE_ABANDONED {
			continue
		}
		var text string
		switch done, err := cancelRun(ctx, f, m.GetComputer(), m.GetPartition(), reason); {
		case err == nil:
			text = cancelled(done)
		case rpc.CodeOf(err) == rpc.CodeFailedPrecondition, rpc.IsNotFound(err):
			text = m.GetComputer() + "/" + m.GetPartition() + ": " + err.Error()
		default:
			return fmt.Errorf("cannot cancel the run of %s/%s: %w", m.GetComputer(), m.GetPartition(), err)
		}
		if !s.json() {
			fmt.Fprintln(s.out, text)
		}
	}
	return nil
}

func cancelled(r *schedulerv1.CancelResponse) string {
	var causes []string
	for _, c := range r.GetCancelled() {
		causes = append(causes, human.Word(c, "CAUSE_"))
	}
	e := r.GetEntry()
	return fmt.Sprintf("%s/%s: %s cancelled; next run %s (%s)", e.GetComputer(), e.GetPartition(), strings.Join(causes, ", "), until(e.GetDueAt(), time.Now()), human.Word(e.GetCause(), "CAUSE_"))
}
