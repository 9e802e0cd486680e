package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newComputer is `vow computer`: one computer with its partitions and releases, and what operators do with computers.
func newComputer(s *session) *cobra.Command {
	command := &cobra.Command{
		Use: "computer NAME", GroupID: "look", Short: "Show a computer; label, drain, evict, open or decommission it",
		Example: "  vow computer laptop\n  vow computer drain rack7 -m 'new kernel'",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: args[0]})
				if err != nil {
					return fmt.Errorf("cannot get computer %q: %w", args[0], err)
				}
				software, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: args[0]})
				if err != nil {
					return fmt.Errorf("cannot list the software of %q: %w", args[0], err)
				}
				if s.json() {
					return s.object(map[string]any{"computer": jsonMessage{response.GetComputer()}, "software": jsonMessages(software.GetSoftware())})
				}
				return printComputer(s, response.GetComputer(), software.GetSoftware(), time.Now())
			})
		},
	}
	command.AddCommand(newComputerList(s), newComputerLabel(s), newComputerDrain(s), newComputerEvict(s), newComputerOpen(s), newComputerDecommission(s))
	return command
}

func printComputer(s *session, c *masterv1.Computer, software []*masterv1.Software, now time.Time) error {
	has := fmt.Sprintf("%d CPUs", c.GetCpus())
	if memory := c.GetCapacity().GetMemoryBytes(); memory > 0 {
		has += ", " + size(memory) + " memory"
	}
	if disk := c.GetCapacity().GetDiskBytes(); disk > 0 {
		has += ", " + size(disk) + " disk"
	}
	fmt.Fprintf(s.out, "%s  %s  last contact %s, %s, every partition runs at least once in %s\n", c.GetName(), colour(c.GetColour()),
		age(c.GetLastContact(), now), has, human.Span(c.GetPeriodicity().AsDuration()))
	if reason := c.GetColour().GetReason(); reason != "" {
		fmt.Fprintf(s.out, "  %s\n", reason)
	}
	if group := groupAndLabels(c); group != "" {
		fmt.Fprintf(s.out, "  %s\n", group)
	}
	if n := c.GetReserved(); n != nil {
		fmt.Fprintf(s.out, "  reserved: %g CPUs, %s memory, %s disk\n", float64(n.GetMilliCpus())/1000, size(n.GetMemoryBytes()), size(n.GetDiskBytes()))
	}
	if why := closure(c.GetClosure(), now); why != "" {
		fmt.Fprintf(s.out, "  closed: %s\n", why)
	}
	fmt.Fprintln(s.out)
	rows := [][]string{{"PARTITION", "INSTANCE", "COLOUR", "ADDRESSES", "REASON"}}
	for _, p := range c.GetPartitions() {
		title := p.GetInstanceTitle()
		if p.GetInstanceId() == "" {
			title = "(free)"
		}
		rows = append(rows, []string{p.GetName(), title, colour(p.GetColour()), strings.Join(p.GetAddresses(), " "), human.OneLine(p.GetColour().GetReason(), 80)})
	}
	if err := table(s.out, rows); err != nil || len(software) == 0 {
		return err
	}
	fmt.Fprintln(s.out)
	return table(s.out, softwareRows(software, now, false))
}

// completeComputers offers the names of computers to the shell.
func (s *session) completeComputers(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		_ = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
			computers, err := f.AllComputers(ctx)
			for _, computer := range computers {
				names = append(names, computer.GetName())
			}
			return err
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
