package command

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vowclient"
	"github.com/vow-os/vow/vow/internal/client"
)

// newUsage is `vow usage`: what partitions consumed, by UTC day.
func newUsage(s *session) *cobra.Command {
	var computer, tree, first, last string
	command := &cobra.Command{
		Use: "usage", GroupID: "look", Short: "Show what partitions consumed, by UTC day (-o text, json or csv)",
		Example: "  vow usage --first 2026-03-01 --last 2026-03-31 -o csv",
		Args:    arguments(cobra.NoArgs), Annotations: map[string]string{alsoCSV: ""},
		RunE: func(c *cobra.Command, _ []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				request := &masterv1.ListUsageRequest{Computer: computer, FirstDay: first, LastDay: last}
				if tree != "" {
					found, err := getTree(ctx, f, tree)
					if err != nil {
						return err
					}
					request.TreeId = found.GetTreeId()
				}
				all, err := allUsage(ctx, f, request)
				if err != nil {
					return err
				}
				switch s.format {
				case "json":
					return s.object(jsonMessages(all))
				case "csv":
					return csv.NewWriter(s.out).WriteAll(usageRows(all, false))
				}
				return table(s.out, usageRows(all, true))
			})
		},
	}
	flags := command.Flags()
	flags.StringVar(&computer, "computer", "", "`name` of one computer (default: all)")
	flags.StringVar(&tree, "tree", "", "`title` or id of one tree (default: all)")
	flags.StringVar(&first, "first", "", "first UTC `day`, YYYY-MM-DD (default: all that are kept, 62 days)")
	flags.StringVar(&last, "last", time.Now().UTC().Format(time.DateOnly), "last UTC `day`, YYYY-MM-DD, inclusive")
	_ = command.RegisterFlagCompletionFunc("computer", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return s.completeComputers(c, nil, prefix)
	})
	return command
}

// allUsage reads every page.
func allUsage(ctx context.Context, f *client.Fleet, request *masterv1.ListUsageRequest) ([]*masterv1.Usage, error) {
	return vowclient.Collect(vowclient.Pages(func(token string) ([]*masterv1.Usage, string, error) {
		request.PageToken = token
		page, err := f.Usage.ListUsage(ctx, request)
		if err != nil {
			return nil, "", fmt.Errorf("cannot list usage: %w", err)
		}
		return page.GetUsage(), page.GetNextPageToken(), nil
	}))
}

// usageRows are a heading and a row for each allocation and day; for people with units, else in seconds and bytes.
func usageRows(all []*masterv1.Usage, people bool) [][]string {
	rows := [][]string{{"day", "computer", "partition", "allocation", "covered_seconds", "cpu_seconds", "memory_bytes", "memory_peak_bytes", "disk_bytes", "processes_peak", "consumed"}}
	if people {
		rows = [][]string{{"DAY", "COMPUTER", "PARTITION", "ALLOCATION", "COVERED", "CPU", "MEMORY", "PEAK", "DISK", "PROCESSES", "CONSUMED"}}
	}
	for _, u := range all {
		seconds, bytes := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }, func(v uint64) string { return strconv.FormatUint(v, 10) }
		if people {
			seconds, bytes = func(v float64) string { return human.Span(time.Duration(v * float64(time.Second))) }, mebibytes
		}
		var consumed []string
		for _, resource := range slices.Sorted(maps.Keys(u.GetConsumed())) {
			consumed = append(consumed, resource+"="+strconv.FormatFloat(u.GetConsumed()[resource], 'f', -1, 64))
		}
		rows = append(rows, []string{
			u.GetDay(), u.GetComputer(), u.GetPartition(), u.GetAllocationId(), seconds(u.GetSeconds()), seconds(u.GetCpuSeconds()), bytes(u.GetMemoryBytes()),
			bytes(u.GetMemoryPeakBytes()), bytes(u.GetDiskBytes()), strconv.FormatUint(uint64(u.GetProcessesPeak()), 10), strings.Join(consumed, " "),
		})
	}
	return rows
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
