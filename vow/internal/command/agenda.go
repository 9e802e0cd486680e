package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/vow/internal/client"
)

// newAgenda is `vow agenda`: when each partition runs next and why.
func newAgenda(s *session) *cobra.Command {
	command := &cobra.Command{
		Use: "agenda [COMPUTER[/PARTITION]]", GroupID: "look", Short: "Show when each partition runs next, and why; pause, resume and cancel runs",
		Example: "  vow agenda\n  vow agenda laptop\n  vow agenda laptop/slappart0\n  vow agenda pause hello --for 2h --reason 'moving the database'",
		Args:    arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completeComputers,
		RunE: func(c *cobra.Command, args []string) error {
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				entries, err := agenda(ctx, f, strings.Join(args, ""))
				if err != nil {
					return err
				}
				if s.json() {
					return s.message(&schedulerv1.ListAgendaResponse{Entries: entries})
				}
				return printAgenda(s, entries, time.Now())
			})
		},
	}
	command.AddCommand(newAgendaPause(s), newAgendaResume(s), newAgendaCancel(s))
	return command
}

func agenda(ctx context.Context, f *client.Fleet, name string) ([]*schedulerv1.AgendaEntry, error) {
	computer, partition, one := strings.Cut(name, "/")
	if one {
		response, err := f.Agenda.GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: computer, Partition: partition})
		if err != nil {
			return nil, fmt.Errorf("cannot get the agenda of %q: %w", name, err)
		}
		return []*schedulerv1.AgendaEntry{response.GetEntry()}, nil
	}
	response, err := f.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{Computer: computer})
	if err != nil {
		return nil, fmt.Errorf("cannot list the agenda: %w", err)
	}
	return response.GetEntries(), nil
}

func printAgenda(s *session, entries []*schedulerv1.AgendaEntry, now time.Time) error {
	rows := [][]string{{"PARTITION", "INSTANCE", "NEXT", "CAUSE", "ATTEMPT", "RUN", "WHY"}}
	for _, e := range entries {
		run := "-"
		switch {
		case e.GetBegun():
			run = "in progress"
		case e.GetRunId() != "":
			run = "ordered"
		}
		reason := e.GetReason()
		if !e.GetConnected() {
			reason = strings.TrimPrefix(reason+"; the computer has no Orders stream", "; ")
		}
		rows = append(rows, []string{
			e.GetComputer() + "/" + e.GetPartition(), e.GetTitle(), until(e.GetDueAt(), now), human.Word(e.GetCause(), "CAUSE_"),
			fmt.Sprint(e.GetAttempt()), run, human.OneLine(reason, 100),
		})
	}
	if err := table(s.out, rows); err != nil || len(entries) != 1 || len(entries[0].GetDecisions()) == 0 {
		return err
	}
	rows = [][]string{{"DECIDED", "WHAT AND WHY"}}
	for _, d := range entries[0].GetDecisions() {
		rows = append(rows, []string{d.GetAt().AsTime().Local().Format("15:04:05.000"), human.OneLine(d.GetText(), 160)})
	}
	fmt.Fprintln(s.out)
	return table(s.out, rows)
}
