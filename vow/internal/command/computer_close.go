package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newComputerList is `vow computer list`.
func newComputerList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the computers, what they have, and which are closed", Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				computers, err := f.AllComputers(ctx)
				if err != nil {
					return err
				}
				if s.json() {
					return s.object(jsonMessages(computers))
				}
				rows := [][]string{{"COMPUTER", "COLOUR", "LAST CONTACT", "PARTITIONS", "CPUS", "MEMORY", "DISK", "LABELS", "CLOSED"}}
				now := time.Now()
				for _, c := range computers {
					rows = append(rows, []string{
						c.GetName(), colour(c.GetColour()), age(c.GetLastContact(), now), occupancy(c),
						fmt.Sprintf("%g of %d", float64(c.GetReserved().GetMilliCpus())/1000, c.GetCpus()),
						reserved(c.GetReserved().GetMemoryBytes(), c.GetCapacity().GetMemoryBytes()), reserved(c.GetReserved().GetDiskBytes(), c.GetCapacity().GetDiskBytes()),
						groupAndLabels(c), closure(c.GetClosure(), now),
					})
				}
				return table(s.out, rows)
			})
		},
	}
}

func reserved(reserved, has uint64) string {
	if has == 0 {
		return "-"
	}
	return size(reserved) + " of " + size(has)
}

func groupAndLabels(c *masterv1.Computer) string {
	var words []string
	if c.GetGroup() != "" {
		words = append(words, "group "+c.GetGroup())
	}
	for _, key := range sortedKeys(c.GetLabels()) {
		words = append(words, key+"="+c.GetLabels()[key])
	}
	return strings.Join(words, ", ")
}

// closure is why a computer is closed; empty = it is open.
func closure(c *masterv1.Closure, now time.Time) string {
	if c == nil {
		return ""
	}
	words := human.Word(c.GetKind(), "CLOSURE_KIND_")
	if c.GetAll() {
		words += ", all"
	}
	if c.GetReason() != "" {
		words += ": " + c.GetReason()
	}
	return fmt.Sprintf("%s (%s, %s)", words, c.GetBy(), age(c.GetSince(), now))
}

// newComputerLabel is `vow computer label`.
func newComputerLabel(s *session) *cobra.Command {
	var group string
	command := &cobra.Command{
		Use: "label COMPUTER [KEY=VALUE]...", Short: "Say which group a computer is of and which labels it has, instead of what was said",
		Example: "  vow computer label rack7 --group db disk=nvme room=2",
		Args:    arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			labels, err := labelsOf(args[1:])
			if err != nil {
				return usageError{err}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.LabelComputer(ctx, &masterv1.LabelComputerRequest{Computer: args[0], Group: group, Labels: labels})
				if err != nil {
					return fmt.Errorf("cannot label computer %q: %w", args[0], err)
				}
				return s.done(response, fmt.Sprintf("%s: %s", args[0], groupAndLabels(response.GetComputer())))
			})
		},
	}
	command.Flags().StringVar(&group, "group", "", "`group` of the computer (default: none)")
	return command
}

// labelsOf reads key=value.
func labelsOf(args []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" || value == "" {
			return nil, fmt.Errorf("cannot use label %q: want key=value", a)
		}
		labels[key] = value
	}
	return labels, nil
}

// newComputerDrain is `vow computer drain`.
func newComputerDrain(s *session) *cobra.Command {
	var reason string
	var all bool
	command := &cobra.Command{
		Use: "drain COMPUTER", Short: "Allocate nothing on a computer any more, and move what may move and fits elsewhere",
		Long: `Allocate nothing on a computer any more, and move what may move (its request says so) and fits elsewhere. The others run on.
svc-master tries again each minute, until "vow computer open".

What moves begins anew elsewhere: the content of its old partition is removed, at the end of its retention delay.`,
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.DrainComputer(ctx, &masterv1.DrainComputerRequest{Computer: args[0], Reason: reason, By: whoami(), All: all})
				if err != nil {
					return fmt.Errorf("cannot drain computer %q: %w", args[0], err)
				}
				return s.leaving(args[0]+" is drained", response, response.GetLeaving())
			})
		},
	}
	command.Flags().StringVarP(&reason, "message", "m", "", "why, for people")
	command.Flags().BoolVar(&all, "all", false, "move also what did not say that it may move; their content is removed from the computer")
	return command
}

// newComputerEvict is `vow computer evict`.
func newComputerEvict(s *session) *cobra.Command {
	var reason string
	var all, force bool
	command := &cobra.Command{
		Use: "evict COMPUTER", Short: "Take the instances that may move from a dead computer, which can never act for them again",
		Long: `Take the instances that may move (their requests say so) from a computer that is Red. They begin anew elsewhere as soon as they fit.
Whatever the computer says for them from now on is refused; when it comes back it is told to remove what is left.

A computer that is cut off and alive keeps its processes running until it hears of this.`,
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.EvictComputer(ctx, &masterv1.EvictComputerRequest{Computer: args[0], Reason: reason, By: whoami(), All: all, Force: force})
				if err != nil {
					return fmt.Errorf("cannot evict computer %q: %w", args[0], err)
				}
				return s.leaving(args[0]+" is evicted", response, response.GetLeaving())
			})
		},
	}
	command.Flags().StringVarP(&reason, "message", "m", "", "why, for people")
	command.Flags().BoolVar(&all, "all", false, "take also what did not say that it may move; their content is lost when the computer comes back")
	command.Flags().BoolVar(&force, "force", false, "also when the computer is not Red")
	return command
}

// newComputerOpen is `vow computer open`.
func newComputerOpen(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "open COMPUTER", Short: "End a drain or an eviction, or let a decommissioned name be registered again",
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.OpenComputer(ctx, &masterv1.OpenComputerRequest{Computer: args[0], By: whoami()})
				if err != nil {
					return fmt.Errorf("cannot open computer %q: %w", args[0], err)
				}
				return s.done(response, args[0]+" is open")
			})
		},
	}
}

// newComputerDecommission is `vow computer decommission`.
func newComputerDecommission(s *session) *cobra.Command {
	sure := false
	command := &cobra.Command{
		Use: "decommission COMPUTER", Short: "Forget a computer that never comes back, and what evictions left on it",
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			if !sure {
				return usageError{errors.New("cannot decommission without --yes: the computer is forgotten, and what runs on it is nobody's any more")}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.DecommissionComputer(ctx, &masterv1.DecommissionComputerRequest{Computer: args[0], By: whoami()})
				if err != nil {
					return fmt.Errorf("cannot decommission computer %q: %w", args[0], err)
				}
				return s.leaving(args[0]+" is decommissioned", response, response.GetLeaving())
			})
		},
	}
	command.Flags().BoolVar(&sure, "yes", false, "do it")
	return command
}

// done writes an answer, or the line that says the same.
func (s *session) done(answer proto.Message, line string) error {
	if s.json() {
		return s.message(answer)
	}
	_, err := fmt.Fprintln(s.out, line)
	return err
}

// leaving writes what became of the instances of a computer.
func (s *session) leaving(line string, answer proto.Message, all []*masterv1.Leaving) error {
	if err := s.done(answer, line); err != nil || s.json() || len(all) == 0 {
		return err
	}
	rows := [][]string{{"PARTITION", "INSTANCE", "TITLE", "WHAT", "WHY"}}
	for _, l := range all {
		what := "leaves"
		if !l.GetEvicted() {
			what = "stays"
		}
		rows = append(rows, []string{l.GetPartition(), l.GetInstanceId(), l.GetTitle(), what, human.OneLine(l.GetStays(), 100)})
	}
	return table(s.out, rows)
}
