package command

import (
	"fmt"
	"io"

	"github.com/vow-os/vow/console/word"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
)

// printRehearsal says what a request or a bang would do.
func printRehearsal(out io.Writer, r *masterv1.Rehearsal) {
	if len(r.GetEntries()) == 0 && r.GetRunsTotal() == 0 && len(r.GetPlaces()) == 0 {
		fmt.Fprintln(out, "  nothing would change")
	}
	for _, e := range r.GetEntries() {
		line := fmt.Sprintf("  %s %s", word.AuditKind(e.GetKind()), e.GetTitle())
		if details := word.AuditDetails(e); details != "" {
			line += ": " + human.OneLine(details, 500)
		}
		fmt.Fprintln(out, line)
	}
	for _, p := range r.GetPlaces() {
		if p.GetComputer() == "" {
			fmt.Fprintf(out, "  %s would get no partition: %s\n", p.GetTitle(), p.GetReason())
		} else {
			fmt.Fprintf(out, "  %s would be put in %s of %s\n", p.GetTitle(), p.GetPartition(), p.GetComputer())
			if p.GetReason() != "" {
				fmt.Fprintf(out, "    %s\n", p.GetReason())
			}
		}
		for _, e := range p.GetElsewhere() {
			fmt.Fprintf(out, "    not on %s: %s\n", e.GetComputer(), e.GetWhy())
		}
		if n := p.GetElsewhereMore(); n > 0 {
			fmt.Fprintf(out, "    nor on %d more computers\n", n)
		}
	}
	for _, run := range r.GetRuns() {
		when := "at once"
		if run.GetDelay() != nil {
			when = "after " + human.Span(run.GetDelay().AsDuration())
		}
		fmt.Fprintf(out, "  %s would run on %s/%s %s, cause %s, to be %s\n", run.GetTitle(), run.GetComputer(), run.GetPartition(), when,
			human.Word(run.GetCause(), "CAUSE_"), human.Word(run.GetState(), "REQUESTED_STATE_"))
	}
	if n := int(r.GetRunsTotal()) - len(r.GetRuns()); n > 0 {
		fmt.Fprintf(out, "  and %d more partitions would run\n", n)
	}
	fmt.Fprintln(out, "dry run: nothing was written")
}
