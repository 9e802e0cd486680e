package agent

import (
	"errors"
	"slices"
	"strings"

	"github.com/vow-os/vow/svc-node/converge"
)

// Bounds of the problems that a report has: svc-master takes no more.
const (
	maxProblems = 10
	maxProblem  = 1000
)

// problems are what is wrong with a partition though no run fails of it.
type problems struct {
	// scripts are its report scripts that fail, journals what they left that is no journal.
	scripts, journals []string
}

// problemsOf lists them.
func (a *Agent) problemsOf(partition string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.problems[partition]
	all := slices.Concat(p.scripts, p.journals)
	return all[:min(len(all), maxProblems)]
}

// setProblems notes what one look found; what is news has the partition run, whose report tells it.
func (a *Agent) setProblems(partition string, err error, of func(*problems) *[]string) {
	texts := textsOf(err)
	a.mu.Lock()
	p := a.problems[partition]
	was := of(&p)
	news := !slices.Equal(*was, texts)
	*was = texts
	a.problems[partition] = p
	a.mu.Unlock()
	if news {
		a.tell(a.group.Context(), converge.Woken{Partition: partition})
	}
}

// textsOf are the errors that were joined, each cut to its end, at most maxProblems.
func textsOf(err error) (texts []string) {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined := (interface{ Unwrap() []error })(nil); errors.As(err, &joined) {
		all = joined.Unwrap()
	}
	for _, one := range all[:min(len(all), maxProblems)] {
		text := strings.TrimSpace(one.Error())
		if len(text) > maxProblem {
			head, tail := text[:maxProblem/4], text[len(text)-maxProblem*3/4+4:] // which one it is, and how it ended
			text = head + "…" + tail
		}
		texts = append(texts, strings.ToValidUTF8(text, ""))
	}
	return texts
}

// diskChanged has every partition run: its run finds out what the disks are like, and its report says it.
func (a *Agent) diskChanged(err error) {
	if err != nil {
		a.s.Telemetry.Log.Warn("a disk of the node takes nothing", "error", err)
	} else {
		a.s.Telemetry.Log.Info("the disks of the node are good again")
	}
	a.tell(a.group.Context(), converge.Woken{})
}
