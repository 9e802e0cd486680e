package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// newAgenda is `vow agenda`: when each partition runs next and why.
func newAgenda(s *session) *cobra.Command {
	command := &cobra.Command{
		Use: "agenda [THING]", GroupID: "look", Short: "Show when each partition runs next, and why; pause, resume and cancel runs",
		Long:    "Show when each partition runs next, and why; pause, resume and cancel runs.\n\nTHING is a tree (title or id), TREE/TITLE, a computer, or COMPUTER/PARTITION; a tree comes before a computer of the same name.",
		Example: "  vow agenda\n  vow agenda hello\n  vow agenda laptop\n  vow agenda laptop/slappart0\n  vow agenda pause hello --for 2h --reason 'moving the database'",
		Args:    arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: s.completeThings,
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

// agenda is when the partitions of a thing run next; without a name, all. Of one partition it has what was decided last.
func agenda(ctx context.Context, f *client.Fleet, name string) ([]*schedulerv1.AgendaEntry, error) {
	if name == "" {
		return listAgenda(ctx, f, "")
	}
	found, err := spots(ctx, f, name)
	if rpc.IsUnavailable(err) { // only svc-master knows trees; svc-scheduler has the agenda of a computer
		computer, partition, _ := strings.Cut(name, "/")
		found, err = []spot{{Computer: computer, Partition: partition}}, nil
	}
	if err != nil {
		return nil, err
	}
	if len(found) == 1 && found[0].Partition != "" {
		response, err := f.Agenda.GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: found[0].Computer, Partition: found[0].Partition})
		if err != nil {
			return nil, fmt.Errorf("cannot get the agenda of %s: %w", found[0], err)
		}
		return []*schedulerv1.AgendaEntry{response.GetEntry()}, nil
	}
	wanted := map[string][]string{}
	for _, at := range found {
		wanted[at.Computer] = append(wanted[at.Computer], at.Partition)
	}
	var entries []*schedulerv1.AgendaEntry
	for _, computer := range slices.Sorted(maps.Keys(wanted)) {
		all, err := listAgenda(ctx, f, computer)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			if slices.Contains(wanted[computer], e.GetPartition()) || slices.Contains(wanted[computer], "") {
				entries = append(entries, e)
			}
		}
	}
	return entries, nil
}

func listAgenda(ctx context.Context, f *client.Fleet, computer string) ([]*schedulerv1.AgendaEntry, error) {
	response, err := f.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{Computer: computer})
	if err != nil {
		return nil, fmt.Errorf("cannot list the agenda: %w", err)
	}
	return response.GetEntries(), nil
}

// nextRun is when a partition runs next: what is due while it is paused waits for the end of that.
func nextRun(e *schedulerv1.AgendaEntry, now time.Time) string {
	if end := e.GetPause().GetUntil(); end != nil && end.AsTime().After(e.GetDueAt().AsTime()) {
		return until(end, now) + ", paused"
	}
	return until(e.GetDueAt(), now)
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
			e.GetComputer() + "/" + e.GetPartition(), e.GetTitle(), nextRun(e, now), human.Word(e.GetCause(), "CAUSE_"),
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
