package command

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/doctor"
)

// newDoctor is `vow doctor`: whether vow itself is well, and the bundle for whoever helps.
func newDoctor(s *session) *cobra.Command {
	var file string
	command := &cobra.Command{
		Use: "doctor", GroupID: "look", Short: "Look whether vow itself is well: services, clocks, store, versions, computers, disks",
		Long: "Look whether vow itself is well: services and their ports, clocks, the store and its settings, versions, computers that are not heard of, and of each node its disks,\n" +
			"streams, spools, supervisor and cgroups. It ends within 20 s whatever is down, with exit code 1 when a check failed.\n\n" +
			"--bundle writes what a person far away needs into a file: the report, listings, bangs, convergences, crimes, agenda, audit, processes and the end of their output. Values\n" +
			"of parameters and connection parameters are taken out wherever they appear.",
		Example: "  vow doctor\n  vow doctor -o json\n  vow doctor --bundle support.tar.gz",
		Args:    arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := s.fleet()
			if err != nil {
				return err
			}
			defer f.Close()
			report := doctor.Examine(c.Context(), f, Version)
			if err := s.printReport(report); err != nil {
				return err
			}
			if file != "" {
				if err := writeBundle(c.Context(), f, report, file); err != nil {
					return err
				}
				fmt.Fprintln(s.errOut, "vow: wrote", file)
			}
			if report.Failed() {
				return errExit{exitFailed}
			}
			return nil
		},
	}
	command.Flags().StringVar(&file, "bundle", "", "also write a support bundle, a tar.gz without secrets, to this `file`")
	return command
}

func (s *session) printReport(r *doctor.Report) error {
	if s.json() {
		return s.object(r)
	}
	rows := [][]string{{"", "ABOUT", "CHECK", "FOUND"}}
	counts := map[string]int{}
	for _, f := range r.Findings {
		counts[f.Verdict]++
		rows = append(rows, []string{f.Verdict, f.About, f.Check, human.OneLine(f.Found, 200)})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, f := range r.Findings {
		line := f.About + ", " + f.Check + ": " + f.Advice
		if f.Advice != "" && !told[line] {
			fmt.Fprintf(s.out, "%s%s\n", strings.Repeat("\n", min(1, max(0, 1-len(told)))), line)
			told[line] = true
		}
	}
	fmt.Fprintf(s.out, "\n%s: %d well, %d to look at, %d failed\n", r.Verdict, counts["ok"], counts["warn"], counts["fail"])
	return nil
}

// writeBundle writes a new file that only its owner may read; there is no half of one.
func writeBundle(ctx context.Context, f *client.Fleet, report *doctor.Report, path string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the bundle: %w", err)
	}
	err = doctor.Bundle(ctx, f, report, file)
	if closed := file.Close(); err == nil && closed != nil {
		err = fmt.Errorf("cannot write the bundle: %w", closed)
	}
	if err != nil {
		_ = os.Remove(path) // it is not whole
	}
	return err
}
