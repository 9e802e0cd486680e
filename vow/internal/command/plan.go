package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newNodePlan is `vow node plan`.
func newNodePlan(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "plan PARTITION", Short: "Show what a run of a partition would change; change nothing",
		Args: arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completePartitions,
		RunE: func(c *cobra.Command, args []string) error {
			return s.withNode(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				plan, err := f.Node.Plan(ctx, &nodev1.PlanRequest{Partition: args[0]})
				if err != nil {
					return fmt.Errorf("cannot plan a run of %s: %w", args[0], err)
				}
				if s.json() {
					return s.message(plan)
				}
				return printPlan(s, plan, true)
			})
		},
	}
}

// printPlan draws a plan: parts, then what would change. Parts that stay are counted only.
func printPlan(s *session, plan *nodev1.PlanResponse, diffs bool) error {
	rows, same := [][]string{{"PART", "ACTION", "WHY"}}, 0
	for _, p := range plan.GetParts() {
		if !p.GetChanged() && (p.GetAction() == "skip" || p.GetAction() == "update") {
			same++
			continue
		}
		rows = append(rows, []string{p.GetPart(), p.GetAction(), human.OneLine(p.GetReason(), 100)})
	}
	if len(rows) > 1 {
		if err := table(s.out, rows); err != nil {
			return err
		}
	}
	if len(plan.GetParts()) == 0 {
		fmt.Fprintln(s.out, "no parts: [buildout] names none in parts =, so nothing would be deployed")
	}
	if same > 0 {
		fmt.Fprintf(s.out, "%d parts stay as they are\n", same)
	}
	if len(plan.GetFiles()) > 0 {
		fmt.Fprintln(s.out, "\nFiles")
	}
	for _, f := range plan.GetFiles() {
		from := ""
		if f.GetPart() != "" {
			from = " [" + f.GetPart() + "]"
		}
		fmt.Fprintf(s.out, "  %-9s %s%s\n", f.GetAction(), f.GetPath(), from)
		if diffs {
			for line := range strings.Lines(f.GetDiff()) {
				fmt.Fprint(s.out, "      "+line)
			}
		}
	}
	section(s, "Services", plan.GetServices(), func(p *nodev1.PlannedService) string { return fmt.Sprintf("%-9s %s", p.GetAction(), p.GetName()) })
	plain := func(text string) string { return text }
	section(s, "Commands", plan.GetCommands(), plain)
	section(s, "Requests", plan.GetRequested(), plain)
	section(s, "Publishes", plan.GetPublished(), plain)
	section(s, "Waits", plan.GetWaiting(), func(w *nodev1.PlannedWait) string { return "[" + w.GetPart() + "] " + w.GetReason() })
	return nil
}

// section draws a list under its heading, if there is anything in it.
func section[T any](s *session, heading string, all []T, line func(T) string) {
	if len(all) > 0 {
		fmt.Fprintln(s.out, "\n"+heading)
	}
	for _, one := range all {
		fmt.Fprintln(s.out, "  "+line(one))
	}
}
