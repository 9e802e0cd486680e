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

// newStatus is `vow status`: the colours of everything.
func newStatus(s *session) *cobra.Command {
	follow := false
	command := &cobra.Command{
		Use: "status", GroupID: "look", Short: "Show the colours of computers and trees",
		Example: "  vow status\n  vow status -w", SuggestFor: []string{"list", "ls", "get", "show", "trees", "computers"},
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if follow {
				return s.watchStatus(c.Context())
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				computers, err := f.AllComputers(ctx)
				if err != nil {
					return err
				}
				trees, err := f.AllTrees(ctx)
				if err != nil {
					return err
				}
				if s.json() {
					return s.object(map[string]any{
						"computers": jsonMessages(computers),
						"trees":     jsonMessages(trees),
					})
				}
				return printStatus(s, computers, trees, time.Now())
			})
		},
	}
	command.Flags().BoolVarP(&follow, "watch", "w", false, "go on: show each colour as it turns, until interrupted")
	return command
}

func printStatus(s *session, computers []*masterv1.Computer, trees []*masterv1.Tree, now time.Time) error {
	rows := [][]string{{"COMPUTER", "COLOUR", "LAST CONTACT", "PARTITIONS", "REASON"}}
	for _, c := range computers {
		rows = append(rows, []string{c.GetName(), colour(c.GetColour()), age(c.GetLastContact(), now), occupancy(c), human.OneLine(computerReason(c, now), 60)})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	rows = [][]string{{"TREE", "COLOUR", "GENERATION", "CONVERGENCE", "ID", "REASON"}}
	for _, t := range trees {
		convergence := t.GetConvergenceId()
		if convergence == "" {
			convergence = "-"
		}
		rows = append(rows, []string{t.GetTitle(), colour(t.GetColour()), generation(t.GetGeneration()), convergence, t.GetTreeId(), human.OneLine(t.GetColour().GetReason(), 60)})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	for _, t := range trees {
		for _, condition := range t.GetConditions() {
			fmt.Fprintf(s.out, "\n%s: %s", t.GetTitle(), human.OneLine(condition, 160))
		}
	}
	fmt.Fprintln(s.out)
	return nil
}

// computerReason is why a computer has its colour, and why nothing is allocated on it.
func computerReason(c *masterv1.Computer, now time.Time) string {
	reason := c.GetColour().GetReason()
	if why := closure(c.GetClosure(), now); why != "" {
		reason = strings.TrimPrefix(reason+"; closed: "+why, "; ")
	}
	return reason
}

// occupancy counts the partitions that hold an instance.
func occupancy(c *masterv1.Computer) string {
	held := 0
	for _, p := range c.GetPartitions() {
		if p.GetInstanceId() != "" {
			held++
		}
	}
	return fmt.Sprintf("%d of %d", held, len(c.GetPartitions()))
}
