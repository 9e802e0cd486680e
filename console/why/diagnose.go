package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/telemetry"
)

// Ranks of causes: the deepest first. What a waiting instance waits for is told before that it waits.
const (
	rankRelease = iota
	rankUnallocated
	rankComputer
	rankRun
	rankBang
	rankAge
	rankWaiting
)

// diagnosis is what is found of one instance.
type diagnosis struct {
	instance *masterv1.Instance
	rank     int
	member   Member
}

// diagnoses of the instances that are not well, the deepest cause first; of one that is asked about alone, also when it is well.
func diagnoses(f Facts, asked []*masterv1.Instance, now time.Time) []diagnosis {
	var found []diagnosis
	for _, i := range asked {
		well := i.GetState() != typev1.RequestedState_REQUESTED_STATE_STARTED || i.GetStatus().GetColour().GetColour() == typev1.Colour_COLOUR_GREEN
		if well && f.Instance == "" {
			continue
		}
		d := diagnosis{instance: i, member: Member{Title: i.GetTitle()}}
		if i.GetPartition() != "" {
			d.member.Place = i.GetComputer() + "/" + i.GetPartition()
		}
		if !well {
			d.rank, d.member.Cause = cause(f, i, now)
		}
		d.member.Promises = failing(f.Promises[i.GetAllocationId()], now)
		d.member.Tried, d.member.Next = tried(i, now), next(f, i, now)
		d.member.Error = strings.TrimRight(i.GetStatus().GetLatest().GetError(), "\n")
		found = append(found, d)
	}
	slices.SortStableFunc(found, func(a, b diagnosis) int { return cmp.Compare(a.rank, b.rank) })
	return found
}

// cause of an instance that is Red.
func cause(f Facts, i *masterv1.Instance, now time.Time) (int, string) {
	switch {
	case i.GetHostId() != "":
		return rankWaiting, "served by " + i.GetHostId() + ": " + i.GetStatus().GetColour().GetReason()
	case i.GetShared():
		return rankUnallocated, "no host: " + cmp.Or(i.GetUnallocatedReason(), "it was not tried yet")
	case i.GetAllocationId() == "":
		return rankUnallocated, "no partition: " + cmp.Or(i.GetUnallocatedReason(), "it was not tried yet")
	}
	if text := release(f, i, now); text != "" {
		return rankRelease, text
	}
	status := i.GetStatus()
	gone := away(f.Computers[i.GetComputer()], now)
	latest := status.GetLatest()
	failed := latest != nil && latest.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS
	switch {
	case gone != "":
		return rankComputer, gone + ", so nothing is known of it: " + status.GetColour().GetReason()
	case failed && latest.GetErrorType() == "not_available":
		return rankWaiting, firstLine(latest.GetError())
	case failed:
		return rankRun, ofRun(f, i)
	case latest == nil:
		return rankAge, cmp.Or(next(f, i, now), status.GetColour().GetReason())
	case strings.HasPrefix(status.GetColour().GetReason(), "no result for"):
		return rankAge, status.GetColour().GetReason()
	case alone(f, i):
		return rankComputer, fmt.Sprintf("the node of %s takes no orders (heard of last %s), so nothing runs there: %s", i.GetComputer(), ago(f.Computers[i.GetComputer()].GetLastContact().AsTime(), now), banged(f, i))
	default:
		return rankBang, banged(f, i)
	}
}

// alone tells whether the node of an instance has no Orders stream: what banged waits for it.
func alone(f Facts, i *masterv1.Instance) bool {
	e := f.Agenda[i.GetAllocationId()]
	return e != nil && !e.GetConnected() && f.Computers[i.GetComputer()].GetLastContact() != nil
}

// banged is the bang that makes an instance Red; of one that was withheld svc-master says only why, so who banged is told before it.
func banged(f Facts, i *masterv1.Instance) string {
	reason := oneOf(i.GetStatus().GetColour().GetReason(), i.GetStatus().GetWithheld())
	for _, b := range f.Bangs { // newest first
		if b.GetInstanceId() == i.GetInstanceId() && b.GetReason() != "" && strings.Contains(reason, b.GetReason()) {
			return bounded(fmt.Sprintf("%s %s banged (%s), %s", human.Word(b.GetOrigin(), "BANG_ORIGIN_"), b.GetSource(), firstLine(b.GetMessage()), reason))
		}
	}
	return reason
}

// release that is not there is the cause of whatever its instances say.
func release(f Facts, i *masterv1.Instance, now time.Time) string {
	for _, r := range f.Software[i.GetComputer()] {
		if r.GetSoftwareRelease() != i.GetSoftwareRelease() {
			continue
		}
		name := telemetry.Redacted(r.GetSoftwareRelease())
		switch r.GetReported() {
		case masterv1.SoftwareState_SOFTWARE_STATE_ERROR:
			text := fmt.Sprintf("software release %s does not install on %s: %s", name, i.GetComputer(), lastLine(r.GetError()))
			if r.GetRetryAt() != nil {
				text += "; tried again " + ahead(r.GetRetryAt().AsTime(), now)
			}
			return text
		case masterv1.SoftwareState_SOFTWARE_STATE_BUILDING:
			return strings.TrimSuffix(fmt.Sprintf("software release %s is being installed on %s: %s", name, i.GetComputer(), r.GetProgress().GetStep()), ": ")
		default:
			return ""
		}
	}
	return ""
}

// away says that a computer is not heard of; empty = it is.
func away(c *masterv1.Computer, now time.Time) string {
	if c == nil || c.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN {
		return ""
	}
	if c.GetLastContact() == nil {
		return "computer " + c.GetName() + " was never heard of"
	}
	return fmt.Sprintf("computer %s was heard of last %s", c.GetName(), ago(c.GetLastContact().AsTime(), now))
}

// ofRun is why the latest run failed, by the class of its error.
func ofRun(f Facts, i *masterv1.Instance) string {
	latest := i.GetStatus().GetLatest()
	switch latest.GetErrorType() {
	case "promise":
		var bad []string
		for _, p := range f.Promises[i.GetAllocationId()] {
			if v := p.GetVerdict(); v.GetTestFailed() && v.GetMute() == nil {
				bad = append(bad, fmt.Sprintf("promise %s fails: %s", v.GetPromise(), lastLine(v.GetMessage())))
			}
		}
		if len(bad) > 1 {
			return fmt.Sprintf("%s (and %d more)", bad[0], len(bad)-1)
		}
		return oneOf(strings.Join(bad, ""), "promise: "+firstLine(latest.GetError()))
	case "profile":
		return "profile error: " + firstLine(latest.GetError())
	case "disk":
		return "bad disk of " + i.GetComputer() + ": " + firstLine(latest.GetError())
	case "":
		return "run ended with " + human.Word(latest.GetResult(), "RUN_RESULT_") + ": " + firstLine(latest.GetError())
	default:
		return latest.GetErrorType() + ": " + firstLine(latest.GetError())
	}
}

// headline is the cause in one line.
func headline(f Facts, status *typev1.ColourStatus, found []diagnosis) string {
	if len(found) > 0 && found[0].member.Cause != "" {
		text := found[0].member.Cause
		if f.Instance == "" {
			text = found[0].member.Title + ": " + text
		}
		if storm := withPrefix(f.Tree.GetConditions(), "bang storm"); storm != "" && found[0].rank == rankBang {
			text = storm
		}
		return held(f, found[0].instance) + text
	}
	for _, name := range sorted(f.Computers) {
		if c := f.Computers[name]; c.GetColour().GetColour() != typev1.Colour_COLOUR_GREEN {
			return fmt.Sprintf("computer %s: %s; what it said last was well", name, c.GetColour().GetReason())
		}
	}
	switch {
	case status.GetReason() != "":
		return status.GetReason()
	case len(f.Tree.GetConditions()) > 0: // a destruction that cannot end has no colour
		return f.Tree.GetConditions()[0]
	case status.GetColour() == typev1.Colour_COLOUR_GREEN:
		return "every promise holds"
	default:
		return "nothing is to run: it is stopped or destroyed"
	}
}

// held says that no run of an instance begins, because its tree or its computer is paused; empty = it is not so.
func held(f Facts, i *masterv1.Instance) string {
	p, what := f.Agenda[i.GetAllocationId()].GetPause(), "tree "
	switch {
	case p == nil:
		p = f.Tree.GetPause()
	case p.GetGeneration() == nil: // those of trees have one
		what = "computer "
	}
	if p == nil {
		return ""
	}
	text := what + "paused until " + p.GetUntil().AsTime().Format(time.RFC3339)
	if p.GetBy() != "" {
		text += " by " + p.GetBy()
	}
	if p.GetReason() != "" {
		text += " (" + firstLine(p.GetReason()) + ")"
	}
	return text + ", so nothing mends it before: "
}

// failing promises with their last values.
func failing(promises []*promisev1.PromiseStatus, now time.Time) []string {
	var told []string
	for _, p := range promises {
		v := p.GetVerdict()
		if !v.GetTestFailed() && !v.GetAnomaly() {
			continue
		}
		text := fmt.Sprintf("%s fails for %s", v.GetPromise(), human.Span(now.Sub(v.GetSince().AsTime())))
		if p.Value != nil {
			text += fmt.Sprintf(", value %g", p.GetValue())
		}
		text += ", sensed " + ago(p.GetAt().AsTime(), now)
		if p.GetLastPassed() == nil {
			text += ", never passed"
		}
		if m := v.GetMute(); m != nil {
			text += fmt.Sprintf(", muted until %s (%s)", m.GetUntil().AsTime().Format(time.RFC3339), m.GetReason())
		}
		told = append(told, text+": "+firstLine(v.GetMessage()))
	}
	return told
}

// tried is the latest run.
func tried(i *masterv1.Instance, now time.Time) string {
	latest := i.GetStatus().GetLatest()
	if latest == nil {
		return ""
	}
	text := fmt.Sprintf("%s run, attempt %d, %s %s after %s", human.Word(latest.GetCause(), "CAUSE_"), latest.GetAttempt(), human.Word(latest.GetResult(), "RUN_RESULT_"),
		ago(latest.GetReportedAt().AsTime(), now), human.Span(time.Duration(latest.GetDurationSeconds()*float64(time.Second))))
	if latest.GetEvaluatedLocally() {
		text += ", evaluated locally"
	}
	if latest.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS && i.GetStatus().GetLastSuccessRunId() == "" {
		text += "; it never succeeded"
	}
	return text
}

// next is when it runs again, and why then.
func next(f Facts, i *masterv1.Instance, now time.Time) string {
	e := f.Agenda[i.GetAllocationId()]
	if e == nil {
		return ""
	}
	var text string
	switch {
	case e.GetBegun():
		text = "its run was ordered " + ago(e.GetOrderedAt().AsTime(), now)
	case e.GetRunId() != "":
		text = "ordered " + ago(e.GetOrderedAt().AsTime(), now) + ", and has not begun"
	case e.GetPause().GetUntil().AsTime().After(e.GetDueAt().AsTime()):
		text = "runs " + ahead(e.GetPause().GetUntil().AsTime(), now) + ", when the pause ends, or is ended (" + human.Word(e.GetCause(), "CAUSE_") + ")"
	default:
		text = "runs " + ahead(e.GetDueAt().AsTime(), now) + " (" + human.Word(e.GetCause(), "CAUSE_") + ")"
	}
	if e.GetReason() != "" {
		text += ": " + e.GetReason()
	}
	if !e.GetConnected() {
		text += "; the computer has no Orders stream, so it waits until it has, or until the node decides by itself"
	}
	return text
}
