package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// crimes is what `vow crimes` tells.
type crimes struct {
	// Runs are the crimes of partitions' runs, in words, by tree; svc-master tells them as conditions of the tree.
	Runs []runCrime `json:"runs"`
	// Promises are those of promises.
	Promises []jsonMessage `json:"promises"`
	promises []*promisev1.PromiseCrime
}

type runCrime struct {
	Tree     string `json:"tree"`
	Evidence string `json:"evidence"`
}

// newCrimes is `vow crimes`: what does not behave as a promise or a partition should, with the evidence.
func newCrimes(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "crimes [TREE]", GroupID: "look", Short: "Show the monitoring crimes, with their evidence",
		Long: "Show the monitoring crimes, with their evidence: a partition that runs without ever sleeping, a run longer than one minute,\n" +
			"a promise sensed every minute or more often, and a promise that never passed.",
		Args: arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				all, err := findCrimes(ctx, f, args)
				if err != nil {
					return err
				}
				if s.json() {
					all.Promises = jsonMessages(all.promises)
					return s.object(all)
				}
				return printCrimes(s, all, time.Now())
			})
		},
	}
}

// findCrimes asks svc-master and svc-promise, about one tree or all.
func findCrimes(ctx context.Context, f *client.Fleet, of []string) (crimes, error) {
	all := crimes{Runs: []runCrime{}}
	var trees []*masterv1.Tree
	var err error
	if len(of) == 0 {
		trees, err = allTrees(ctx, f)
	} else {
		var tree *masterv1.Tree
		tree, err = getTree(ctx, f, of[0])
		trees = append(trees, tree)
	}
	if err != nil {
		return all, err
	}
	for _, tree := range trees {
		for _, condition := range tree.GetConditions() {
			if evidence, found := strings.CutPrefix(condition, "monitoring crime: "); found {
				all.Runs = append(all.Runs, runCrime{tree.GetTitle(), evidence})
			}
		}
	}
	response, err := f.Promises.ListCrimes(ctx, &promisev1.ListCrimesRequest{})
	if err != nil {
		return all, fmt.Errorf("cannot list the monitoring crimes of promises: %w", err)
	}
	for _, c := range response.GetCrimes() {
		if len(of) == 0 || strings.HasPrefix(c.GetAllocationId(), trees[0].GetTreeId()+".") {
			all.promises = append(all.promises, c)
		}
	}
	return all, nil
}

func printCrimes(s *session, all crimes, now time.Time) error {
	if len(all.Runs)+len(all.promises) == 0 {
		fmt.Fprintln(s.out, "no monitoring crimes")
		return nil
	}
	for _, r := range all.Runs {
		fmt.Fprintf(s.out, "%s: %s\n", r.Tree, r.Evidence)
	}
	if len(all.promises) == 0 {
		return nil
	}
	rows := [][]string{{"PARTITION", "ALLOCATION", "PROMISE", "CRIME", "SINCE", "EVIDENCE"}}
	for _, c := range all.promises {
		rows = append(rows, []string{
			c.GetComputer() + "/" + c.GetPartition(), c.GetAllocationId(), c.GetPromise(), word(c.GetCrime(), "CRIME_"), age(c.GetSince(), now), oneLine(c.GetEvidence(), 120),
		})
	}
	return table(s.out, rows)
}
