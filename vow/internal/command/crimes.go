package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// crimes is what `vow crimes` tells: those of runs by svc-master, those of promises by svc-promise, and the releases of which they are conditions by both.
type crimes struct {
	Releases []jsonMessage `json:"releases"`
	Runs     []jsonMessage `json:"runs"`
	Promises []jsonMessage `json:"promises"`

	releases []*typev1.ReleaseCrime
	runs     []*masterv1.RunCrime
	promises []*promisev1.PromiseCrime
}

// newCrimes is `vow crimes`: what does not behave as a promise or a partition should, with the evidence.
func newCrimes(s *session) *cobra.Command {
	var release string
	command := &cobra.Command{
		Use: "crimes [TREE]", GroupID: "look", Short: "Show the monitoring crimes, with their evidence",
		Long: "Show the monitoring crimes, with their evidence: a partition that runs without ever sleeping, a run longer than one minute,\n" +
			"a promise sensed every minute or more often, and a promise that never passed; first by software release, whose author can end them.",
		Example: "  vow crimes\n  vow crimes hello\n  vow crimes --release file:///opt/releases/hello -o json",
		Args:    arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completeTrees,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				all, err := findCrimes(ctx, f, args, release)
				if err != nil {
					return err
				}
				if s.json() {
					all.Releases, all.Runs, all.Promises = jsonMessages(all.releases), jsonMessages(all.runs), jsonMessages(all.promises)
					return s.object(all)
				}
				return printCrimes(s, all, time.Now())
			})
		},
	}
	command.Flags().StringVar(&release, "release", "", "only those of instances of this software release, by its `URL`")
	return command
}

// findCrimes asks svc-master and svc-promise, about one tree or all.
func findCrimes(ctx context.Context, f *client.Fleet, of []string, release string) (crimes, error) {
	var all crimes
	var treeID string
	if len(of) > 0 {
		tree, err := getTree(ctx, f, of[0])
		if err != nil {
			return all, err
		}
		treeID = tree.GetTreeId()
	}
	runs, err := f.Trees.ListRunCrimes(ctx, &masterv1.ListRunCrimesRequest{TreeId: treeID, SoftwareRelease: release})
	if err != nil {
		return all, fmt.Errorf("cannot list the monitoring crimes of runs: %w", err)
	}
	promises, err := f.Promises.ListCrimes(ctx, &promisev1.ListCrimesRequest{SoftwareRelease: release})
	if err != nil {
		return all, fmt.Errorf("cannot list the monitoring crimes of promises: %w", err)
	}
	all.runs = runs.GetCrimes()
	for _, c := range promises.GetCrimes() {
		if treeID == "" || strings.HasPrefix(c.GetAllocationId(), treeID+".") {
			all.promises = append(all.promises, c)
		}
	}
	if treeID == "" { // a release is not the tree's
		all.releases = append(runs.GetReleases(), promises.GetReleases()...)
		slices.SortStableFunc(all.releases, func(a, b *typev1.ReleaseCrime) int {
			return cmp.Compare(a.GetSoftwareRelease(), b.GetSoftwareRelease())
		})
	}
	return all, nil
}

func printCrimes(s *session, all crimes, now time.Time) error {
	if len(all.runs)+len(all.promises) == 0 {
		fmt.Fprintln(s.out, "no monitoring crimes")
		return nil
	}
	var tables [][][]string
	if len(all.releases) > 0 {
		rows := [][]string{{"RELEASE", "CRIME", "COUNT", "PARTITIONS", "SINCE", "EVIDENCE OF THE OLDEST"}}
		for _, r := range all.releases {
			rows = append(rows, []string{
				r.GetSoftwareRelease(), human.Word(r.GetCrime(), "MONITORING_CRIME_"), fmt.Sprint(r.GetCount()), fmt.Sprint(r.GetPartitions()), age(r.GetSince(), now), human.OneLine(r.GetEvidence(), 120),
			})
		}
		tables = append(tables, rows)
	}
	if len(all.runs) > 0 {
		rows := [][]string{{"PARTITION", "ALLOCATION", "INSTANCE", "CRIME", "SINCE", "EVIDENCE"}}
		for _, c := range all.runs {
			rows = append(rows, []string{
				c.GetComputer() + "/" + c.GetPartition(), c.GetAllocationId(), c.GetTitle(), human.Word(c.GetCrime(), "MONITORING_CRIME_"), age(c.GetSince(), now), human.OneLine(c.GetEvidence(), 160),
			})
		}
		tables = append(tables, rows)
	}
	if len(all.promises) > 0 {
		rows := [][]string{{"PARTITION", "ALLOCATION", "PROMISE", "CRIME", "SINCE", "EVIDENCE"}}
		for _, c := range all.promises {
			rows = append(rows, []string{
				c.GetComputer() + "/" + c.GetPartition(), c.GetAllocationId(), c.GetPromise(), human.Word(c.GetCrime(), "CRIME_"), age(c.GetSince(), now), human.OneLine(c.GetEvidence(), 120),
			})
		}
		tables = append(tables, rows)
	}
	for n, rows := range tables {
		if n > 0 {
			fmt.Fprintln(s.out)
		}
		if err := table(s.out, rows); err != nil {
			return err
		}
	}
	return nil
}
