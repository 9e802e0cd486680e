package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/vow/internal/client"
)

// watchEvery is how often a watched list is read again: as often as progress is reported.
const watchEvery = time.Second

// newSoftware is `vow software`: the software releases of computers, and how far they are.
func newSoftware(s *session) *cobra.Command {
	computer, watch := "", false
	command := &cobra.Command{
		Use: "software", GroupID: "look", Short: "List software releases: what is supplied to which computer, and how far it is",
		Example: "  vow software --computer laptop -w", Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if !watch {
				return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
					_, err := s.listSoftware(ctx, f, computer, "")
					return err
				})
			}
			return s.watchSoftware(c.Context(), computer)
		},
	}
	command.Flags().StringVar(&computer, "computer", "", "`name` of a computer (default: all)")
	command.Flags().BoolVarP(&watch, "watch", "w", false, "write the list again whenever it changes, until interrupted")
	command.AddCommand(newSoftwareSchema(s))
	_ = command.RegisterFlagCompletionFunc("computer", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return s.completeComputers(c, nil, prefix)
	})
	return command
}

// watchSoftware lists until ctx ends. It goes on while svc-master restarts.
func (s *session) watchSoftware(ctx context.Context, computer string) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for last := ""; ; {
		written, err := s.listSoftware(ctx, f, computer, last)
		switch {
		case err == nil:
			last = written
		case ctx.Err() != nil:
			return nil
		case !rpc.IsUnavailable(err) || last == "":
			return err
		default:
			s.absent(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// listSoftware writes the list unless it is what was written last, and returns it.
func (s *session) listSoftware(ctx context.Context, f *client.Fleet, computer, last string) (string, error) {
	names := []string{computer}
	if computer == "" {
		computers, err := f.AllComputers(ctx)
		if err != nil {
			return "", err
		}
		names = names[:0]
		for _, c := range computers {
			names = append(names, c.GetName())
		}
	}
	software := []*masterv1.Software{}
	for _, name := range names {
		response, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: name})
		if err != nil {
			return "", fmt.Errorf("cannot list the software of %q: %w", name, err)
		}
		software = append(software, response.GetSoftware()...)
	}
	is := fmt.Sprint(software) // what is since 3 s and what is since 4 s is the same
	if is == last {
		return is, nil
	}
	if s.json() {
		return is, s.object(map[string]any{"software": jsonMessages(software)})
	}
	if last != "" {
		fmt.Fprintln(s.out)
	}
	return is, table(s.out, softwareRows(software, time.Now(), true))
}

// softwareRows is a table of releases.
func softwareRows(software []*masterv1.Software, now time.Time, computers bool) [][]string {
	rows := [][]string{{"SOFTWARE RELEASE", "COMPUTER", "REQUESTED", "REPORTED", "SINCE", "PROGRESS", "ERROR"}}
	for _, r := range software {
		shown := telemetry.Redacted(r.GetSoftwareRelease())
		failed := strings.TrimPrefix(r.GetError(), "cannot install "+shown+": ") // the row names it
		rows = append(rows, []string{
			shown, r.GetComputer(), human.Word(r.GetRequested(), "SOFTWARE_STATE_"), human.Word(r.GetReported(), "SOFTWARE_STATE_"),
			age(r.GetReportedAt(), now), installProgress(r, now), lastLine(failed+r.GetOptions().GetError(), 120),
		})
	}
	if !computers {
		for i, row := range rows {
			rows[i] = append(row[:1:1], row[2:]...)
		}
	}
	return rows
}

// installProgress says how far an installation is, or what is next.
func installProgress(r *masterv1.Software, now time.Time) string {
	p := r.GetProgress()
	text := "-"
	switch r.GetReported() {
	case masterv1.SoftwareState_SOFTWARE_STATE_BUILDING:
		text = p.GetStep()
		if p.GetDoneBytes() > 0 || p.GetTotalBytes() > 0 {
			text += " " + bytesOf(p.GetDoneBytes(), p.GetTotalBytes())
		}
		if text == "" {
			text = "begins"
		}
	case masterv1.SoftwareState_SOFTWARE_STATE_ERROR:
		text = "again " + until(r.GetRetryAt(), now)
	default:
		return text
	}
	if p.GetAttempt() > 1 {
		text += fmt.Sprintf(", attempt %d", p.GetAttempt())
	}
	return text
}

// bytesOf says "12.3 of 40.0 MiB, 30 %".
func bytesOf(done, total uint64) string {
	unit, divisor := "KiB", float64(1<<10)
	switch largest := max(done, total); {
	case largest >= 10<<30:
		unit, divisor = "GiB", 1<<30
	case largest >= 1<<20:
		unit, divisor = "MiB", 1<<20
	}
	if total == 0 {
		return fmt.Sprintf("%.1f %s", float64(done)/divisor, unit)
	}
	return fmt.Sprintf("%.1f of %.1f %s, %d %%", float64(done)/divisor, float64(total)/divisor, unit, min(100, uint64(100*float64(done)/float64(total))))
}

// lastLine keeps the beginning and the last line of a text of several: a build's output ends with why it failed.
func lastLine(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) == 1 {
		return human.OneLine(text, n)
	}
	return human.OneLine(lines[0], n/2) + " … " + human.OneLine(lines[len(lines)-1], n)
}

// awaitSoftware waits until a release is as requested, and writes its progress. It ends with the node's error as soon as an
// attempt failed.
func (s *session) awaitSoftware(ctx context.Context, f *client.Fleet, url, computer string, state masterv1.SoftwareState, wait time.Duration) (*masterv1.Software, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last *masterv1.Software
	failed := ""
	shown := ""
	err := poll(ctx, "waited "+human.Span(wait), func() (bool, error) {
		response, err := f.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: computer})
		if err != nil {
			if rpc.IsUnavailable(err) {
				err = nil // it restarts: asked again
			}
			return false, err
		}
		now := find(response.GetSoftware(), url)
		if state == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
			last = now
			return now == nil, nil // its removal was reported
		}
		if now == nil {
			return false, fmt.Errorf("%s is no longer supplied to %s", telemetry.Redacted(url), computer)
		}
		last = now
		if now.GetReported() == masterv1.SoftwareState_SOFTWARE_STATE_ERROR {
			failed = now.GetError()
			return true, nil
		}
		if text := installProgress(now, time.Now()); !s.json() && text != shown && now.GetReported() == masterv1.SoftwareState_SOFTWARE_STATE_BUILDING {
			fmt.Fprintf(s.errOut, "%s\n", text)
			shown = text
		}
		return now.GetReported() == state, nil
	})
	if failed != "" {
		return last, fmt.Errorf("%s (the node tries again %s)", failed, until(last.GetRetryAt(), time.Now()))
	}
	if err != nil {
		return last, fmt.Errorf("%s is %s on %s: %w", telemetry.Redacted(url), human.Word(last.GetReported(), "SOFTWARE_STATE_"), computer, err)
	}
	return last, nil
}

// find is a release in a list.
func find(software []*masterv1.Software, url string) *masterv1.Software {
	for _, r := range software {
		if r.GetSoftwareRelease() == url {
			return r
		}
	}
	return nil
}
