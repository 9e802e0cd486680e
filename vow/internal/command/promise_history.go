package command

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/console/word"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/vow/internal/client"
)

// plotHeight is how many lines the values take; with eighths of a character that is 64 steps.
const plotHeight = 8

func newPromiseHistory(s *session) *cobra.Command {
	var from, to string
	command := &cobra.Command{
		Use: "history INSTANCE PROMISE", Short: "Show the values and verdicts of a promise over time",
		Example: "  vow promise history hello disk\n  vow promise history hello disk --from 30d -o csv > disk.csv",
		Args:    arguments(cobra.ExactArgs(2)), ValidArgsFunction: s.completePromises,
		Annotations: map[string]string{alsoCSV: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			begin, err := moment("from", from, now, false)
			if err != nil {
				return err
			}
			end := now
			if to != "" {
				if end, err = moment("until", to, now, false); err != nil {
					return err
				}
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				allocation, err := allocation(ctx, f, args[0])
				if err != nil {
					return err
				}
				response, err := f.Promises.History(ctx, &promisev1.HistoryRequest{
					AllocationId: allocation, Promise: args[1], From: timestamppb.New(begin), Until: timestamppb.New(end),
				})
				if err != nil {
					return fmt.Errorf("cannot get the history of %s of %q: %w", args[1], args[0], err)
				}
				switch s.format {
				case "json":
					return s.message(response)
				case "csv":
					return printHistoryCSV(s, response.GetPoints())
				}
				return printHistory(s, response, begin, end, now)
			})
		},
	}
	command.Flags().StringVar(&from, "from", "24h", "from `when`: a date, a time, or how long ago, as 90m or 7d")
	command.Flags().StringVar(&to, "until", "", "until `when` (default now)")
	return command
}

func printHistoryCSV(s *session, points []*promisev1.HistoryPoint) error {
	w := csv.NewWriter(s.out)
	rows := [][]string{{"at", "width_seconds", "value", "min", "max", "count", "failed", "anomaly"}}
	text := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	for _, p := range points {
		rows = append(rows, []string{
			p.GetAt().AsTime().Format(time.RFC3339Nano), fmt.Sprint(p.GetWidthSeconds()), text(p.Value), text(p.Min), text(p.Max),
			fmt.Sprint(p.GetCount()), fmt.Sprint(p.GetFailedCount()), fmt.Sprint(p.GetAnomaly()),
		})
	}
	if err := w.WriteAll(rows); err != nil {
		return fmt.Errorf("cannot write CSV: %w", err)
	}
	return nil
}

func printHistory(s *session, h *promisev1.HistoryResponse, from, until, now time.Time) error {
	status := h.GetStatus()
	fmt.Fprintf(s.out, "%s, %s since %s, sensed %s, %d passed and %d failed since %s\n", status.GetVerdict().GetPromise(), word.Verdict(status.GetVerdict()),
		age(status.GetVerdict().GetSince(), now), age(status.GetAt(), now), status.GetPassed(), status.GetFailed(), clock(status.GetFirst()))
	if m := status.GetVerdict().GetMute(); m != nil {
		fmt.Fprintf(s.out, "muted until %s by %s: %s\n", clock(m.GetUntil()), m.GetBy(), m.GetReason())
	}
	fmt.Fprintln(s.out)
	for _, line := range plot(h.GetPoints(), from, until, width()-14) {
		fmt.Fprintln(s.out, line)
	}
	rows := [][]string{{"DAY (UTC)", "PASSED", "FAILED"}}
	for _, d := range h.GetDays() {
		rows = append(rows, []string{d.GetDay().AsTime().Format(time.DateOnly), fmt.Sprint(d.GetPassed()), fmt.Sprint(d.GetFailed())})
	}
	fmt.Fprintln(s.out)
	if err := table(s.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	rows = [][]string{{"WHEN", "VERDICT", "MESSAGE"}}
	for _, m := range h.GetMessages() {
		verdict := "passed"
		if m.GetFailed() {
			verdict = "failed"
		}
		rows = append(rows, []string{clock(m.GetAt()), verdict, human.OneLine(m.GetMessage(), 100)})
	}
	return table(s.out, rows)
}

// plot draws values, if there are any, above a line of verdicts: · all passed, x some failed, blank nothing known.
func plot(points []*promisev1.HistoryPoint, from, until time.Time, columns int) []string {
	type cell struct {
		sum                   float64
		valued, count, failed int
	}
	columns = max(columns, 10)
	cells := make([]cell, columns)
	least, greatest := math.Inf(1), math.Inf(-1)
	column := func(at time.Time) int {
		return min(max(int(float64(columns)*at.Sub(from).Seconds()/until.Sub(from).Seconds()), 0), columns-1)
	}
	for _, p := range points {
		at := p.GetAt().AsTime()
		// A bucket that is wider than a column fills all that it covers.
		for c := column(at); c <= column(at.Add(time.Duration(p.GetWidthSeconds())*time.Second-1)); c++ {
			one := &cells[c]
			one.count += int(p.GetCount())
			one.failed += int(p.GetFailedCount())
			if p.Value != nil {
				one.sum += p.GetValue()
				one.valued++
			}
		}
	}
	for _, c := range cells {
		if c.valued > 0 {
			least, greatest = min(least, c.sum/float64(c.valued)), max(greatest, c.sum/float64(c.valued))
		}
	}
	var lines []string
	if least <= greatest {
		steps := []rune(" ▁▂▃▄▅▆▇█")
		for row := plotHeight - 1; row >= 0; row-- {
			label := ""
			switch row {
			case plotHeight - 1:
				label = number(&greatest)
			case 0:
				label = number(&least)
			}
			line := []rune(fmt.Sprintf("%12s ", label))
			for _, c := range cells {
				if c.valued == 0 {
					line = append(line, ' ')
					continue
				}
				height := 1 // the least value is seen too
				if greatest > least {
					height = 1 + int(math.Round((c.sum/float64(c.valued)-least)/(greatest-least)*(plotHeight*8-1)))
				}
				line = append(line, steps[min(max(height-8*row, 0), 8)])
			}
			lines = append(lines, strings.TrimRight(string(line), " "))
		}
	}
	line := []rune(fmt.Sprintf("%12s ", "verdict"))
	for _, c := range cells {
		switch {
		case c.count == 0:
			line = append(line, ' ')
		case c.failed > 0:
			line = append(line, 'x')
		default:
			line = append(line, '·')
		}
	}
	begin, end := from.Local().Format("01-02 15:04"), until.Local().Format("01-02 15:04") //nolint:gosmopolitan // people read their own clock
	return append(lines, strings.TrimRight(string(line), " "), strings.Repeat(" ", 13)+begin+strings.Repeat(" ", max(1, columns-len(begin)-len(end)))+end)
}
