package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/kit/examine"
)

// Finding is one check of one thing.
type Finding struct {
	// About is what was examined: `svc-master`, `node laptop`, `computer laptop`, `clocks` …
	About string `json:"about"`
	// Check is what was looked at.
	Check string `json:"check"`
	// Verdict is ok, warn or fail.
	Verdict string `json:"verdict"`
	// Found is what was found.
	Found string `json:"found"`
	// Advice is what to do; empty when it is well.
	Advice string `json:"advice,omitempty"`

	level examine.Level
}

// Report is all findings.
type Report struct {
	// At is when it was made, by the clock of this machine.
	At time.Time `json:"at"`
	// Verdict is the worst of all.
	Verdict string `json:"verdict"`
	// Findings by what they are about, in the order of the way of a call.
	Findings []Finding `json:"findings"`
	// Versions by who has them: services, `node NAME`, `vow`.
	Versions map[string]string `json:"versions"`
}

// Failed tells whether anything does not work.
func (r *Report) Failed() bool { return r.worst() == examine.Fail }

func (r *Report) worst() examine.Level {
	worst := examine.OK
	for _, f := range r.Findings {
		worst = max(worst, f.level)
	}
	return worst
}

// add notes checks of one thing.
func (r *Report) add(about string, checks ...examine.Check) {
	for _, c := range checks {
		r.Findings = append(r.Findings, Finding{About: about, Check: c.Name, Verdict: word(c.Level), Found: c.Found, Advice: c.Advice, level: c.Level})
	}
}

func word(l examine.Level) string {
	switch l {
	case examine.OK:
		return "ok"
	case examine.Warn:
		return "warn"
	default:
		return "fail"
	}
}

// checksOf is what a service told of itself; a verdict that is not known counts as a failure.
func checksOf(a *examinev1.ExamineResponse) []examine.Check {
	var checks []examine.Check
	for _, c := range a.GetChecks() {
		level := examine.Fail
		if slices.Contains([]examinev1.Verdict{examinev1.Verdict_VERDICT_OK, examinev1.Verdict_VERDICT_WARN}, c.GetVerdict()) {
			level = examine.Level(c.GetVerdict())
		}
		checks = append(checks, examine.Check{Name: c.GetName(), Level: level, Found: c.GetFound(), Advice: c.GetAdvice()})
	}
	return checks
}

// some names at most a few of many.
func some(names []string) string {
	const shown = 5
	slices.Sort(names)
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
