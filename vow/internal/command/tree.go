package command

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// treeID matches the id of a tree and of anything in it; everything else is a title.
var treeID = regexp.MustCompile(`^t[0-9a-hjkmnp-tv-z]{12}(\.[iabc][0-9]+)?$`)

// newTree is `vow tree`: one tree with its instances and why it has its colour.
func newTree(s *session) *cobra.Command {
	connection := false
	command := &cobra.Command{
		Use: "tree TREE", GroupID: "look", Short: "Show a tree: its instances, where they are, and why it is red",
		Example: "  vow tree hello\n  vow tree hello --connection",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				tree, err := getTree(ctx, f, args[0])
				if err != nil {
					return err
				}
				if s.json() {
					return s.message(tree)
				}
				return printTree(s, tree, time.Now(), connection)
			})
		},
	}
	command.Flags().BoolVar(&connection, "connection", false, "show what the instances published; it may hold secrets")
	return command
}

// getTree finds a tree by title or by the id of anything in it.
func getTree(ctx context.Context, f *client.Fleet, name string) (*masterv1.Tree, error) {
	request := &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Title{Title: name}}
	if treeID.MatchString(name) {
		request.By = &masterv1.GetTreeRequest_Id{Id: name}
	}
	response, err := f.Trees.GetTree(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("cannot get tree %q: %w", name, err)
	}
	return response.GetTree(), nil
}

func printTree(s *session, tree *masterv1.Tree, now time.Time, connection bool) error {
	fmt.Fprintf(s.out, "%s  %s  %s\n", tree.GetTitle(), colour(tree.GetColour()), tree.GetTreeId())
	if reason := tree.GetColour().GetReason(); reason != "" {
		fmt.Fprintf(s.out, "  %s\n", reason)
	}
	for _, condition := range tree.GetConditions() {
		fmt.Fprintf(s.out, "  condition: %s\n", condition)
	}
	fmt.Fprintf(s.out, "  generation %s, %d of %s bangs today", generation(tree.GetGeneration()), tree.GetBangsToday(), quota(tree.GetBangQuota()))
	if id := tree.GetConvergenceId(); id != "" {
		fmt.Fprintf(s.out, ", converging: vow trace %s", id)
	}
	fmt.Fprint(s.out, "\n\n")

	rows := [][]string{{"INSTANCE", "PARTITION", "STATE", "COLOUR", "WANTED", "SETTLED", "LATEST RUN", "REASON"}}
	for _, i := range tree.GetInstances() {
		rows = append(rows, []string{
			i.GetTitle(), place(i), human.Word(i.GetState(), "REQUESTED_STATE_"), colour(i.GetStatus().GetColour()),
			generation(i.GetStatus().GetWanted()), generation(i.GetStatus().GetSettled()), latestRun(i.GetStatus(), now), human.OneLine(reason(i), 80),
		})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	for _, i := range tree.GetInstances() {
		if text := i.GetStatus().GetLatest().GetError(); text != "" {
			fmt.Fprintf(s.out, "\n%s, %s:\n%s\n", i.GetTitle(), i.GetStatus().GetLatest().GetErrorType(), indent(text))
		}
	}
	if connection {
		for _, i := range tree.GetInstances() {
			for _, key := range sortedKeys(i.GetConnectionParameters()) {
				fmt.Fprintf(s.out, "\n%s %s = %s", i.GetTitle(), key, i.GetConnectionParameters()[key])
			}
		}
		fmt.Fprintln(s.out)
	}
	return nil
}

func place(i *masterv1.Instance) string {
	switch {
	case i.GetHostId() != "":
		return "by " + i.GetHostId()
	case i.GetPartition() == "":
		return "-"
	}
	return i.GetComputer() + "/" + i.GetPartition()
}

// reason is the first of: what an eviction left, until when a destroyed one is kept, why it is not allocated, why it is red, what was withheld.
func reason(i *masterv1.Instance) string {
	if i.GetRemnantOf() != "" {
		return "left by the eviction of " + i.GetRemnantOf() + "; goes when " + i.GetComputer() + " has removed its content"
	}
	if kept := i.GetStatus().GetRetainedUntil(); kept != nil && i.GetState() == typev1.RequestedState_REQUESTED_STATE_DESTROYED {
		return "destroyed; its content is kept until " + kept.AsTime().Format(time.RFC3339)
	}
	for _, text := range []string{i.GetUnallocatedReason(), i.GetStatus().GetColour().GetReason(), i.GetUnservedReason(), i.GetStatus().GetWithheld()} {
		if text != "" {
			return text
		}
	}
	return ""
}

func latestRun(p *masterv1.PartitionStatus, now time.Time) string {
	if p.GetRunInProgress() != "" {
		return "in progress"
	}
	l := p.GetLatest()
	if l == nil {
		return "-"
	}
	text := fmt.Sprintf("%s, %s, %s", human.Word(l.GetCause(), "CAUSE_"), human.Word(l.GetResult(), "RUN_RESULT_"), age(l.GetReportedAt(), now))
	if l.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
		text += fmt.Sprintf(", attempt %d", l.GetAttempt())
	}
	if l.GetEvaluatedLocally() {
		text += ", evaluated locally"
	}
	return text
}

func quota(n uint32) string {
	if n == 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// completeTrees offers the titles of trees to the shell.
func (s *session) completeTrees(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var titles []string
	if len(args) == 0 {
		_ = s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error { // no answer, no offers
			trees, err := f.AllTrees(ctx)
			for _, t := range trees {
				titles = append(titles, t.GetTitle())
			}
			return err
		})
	}
	return titles, cobra.ShellCompDirectiveNoFileComp
}
