package why

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }

func red(reason string) *typev1.ColourStatus {
	return &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: reason, Since: before(4 * time.Minute)}
}

func green() *typev1.ColourStatus { return &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN} }

// member is a started instance on laptop.
func member(title string, status *masterv1.PartitionStatus) *masterv1.Instance {
	return &masterv1.Instance{
		InstanceId: "t0123456789ab.i-" + title, AllocationId: "t0123456789ab.a-" + title, Title: title, Computer: "laptop", Partition: "slappart-" + title,
		SoftwareRelease: "file:///opt/hello", State: typev1.RequestedState_REQUESTED_STATE_STARTED, Status: status,
	}
}

func failed(errorType, text string) *masterv1.PartitionStatus {
	return &masterv1.PartitionStatus{Colour: red("run failed, attempt 3: " + errorType), Latest: &masterv1.RunSummary{
		Cause: typev1.Cause_CAUSE_RETRY, Result: typev1.RunResult_RUN_RESULT_FAILURE, ErrorType: errorType, Error: text, Attempt: 3,
		ReportedAt: before(20 * time.Second), DurationSeconds: 1.2,
	}}
}

func well() *masterv1.PartitionStatus {
	return &masterv1.PartitionStatus{Colour: green(), LastSuccessRunId: "r1", Latest: &masterv1.RunSummary{Result: typev1.RunResult_RUN_RESULT_SUCCESS, Attempt: 1, ReportedAt: before(time.Hour)}}
}

func laptop() *masterv1.Computer {
	return &masterv1.Computer{Name: "laptop", Colour: green(), LastContact: before(10 * time.Second)}
}

func facts(members ...*masterv1.Instance) Facts {
	status := green()
	for _, i := range members {
		if c := i.GetStatus().GetColour(); c.GetColour() == typev1.Colour_COLOUR_RED || i.GetAllocationId() == "" {
			status = red(i.GetTitle() + ": something")
		}
	}
	return Facts{
		Tree:      &masterv1.Tree{TreeId: "t0123456789ab", Title: "hello", Colour: status, Instances: members},
		Computers: map[string]*masterv1.Computer{"laptop": laptop()},
		Software:  map[string][]*masterv1.Software{}, Promises: map[string][]*promisev1.PromiseStatus{}, Agenda: map[string]*schedulerv1.AgendaEntry{},
	}
}

// Each fault that an operator meets is named by the first line.
func TestTheCauseOfEachFaultIsNamed(t *testing.T) {
	faults := map[string]struct {
		facts Facts
		want  string
	}{
		"all is well":   {facts(member("web", well())), "every promise holds"},
		"process dies":  {facts(member("web", &masterv1.PartitionStatus{Colour: red("process web-on-watch banged: exit 1"), Latest: well().Latest})), "web: process web-on-watch banged: exit 1"},
		"profile error": {facts(member("web", failed("profile", "instance.cfg:12: [web] command: unknown option ${db:prot}; did you mean port?\nmore"))), "web: profile error: instance.cfg:12: [web] command: unknown option ${db:prot}; did you mean port?"},
		"disk full":     {facts(member("web", failed("disk", "cannot write to /srv/slappart0: 3 MiB are free, want 1000 MiB"))), "web: bad disk of laptop: cannot write to /srv/slappart0: 3 MiB are free, want 1000 MiB"},
		"time-out":      {facts(member("web", failed("timeout", "cannot finish the run in time, step profile: killed"))), "web: timeout: cannot finish the run in time, step profile: killed"},
		"not allocated": {facts(&masterv1.Instance{Title: "web", State: typev1.RequestedState_REQUESTED_STATE_STARTED, UnallocatedReason: "no room: 3 of 3 partitions of laptop hold instances"}), "web: no partition: no room: 3 of 3 partitions of laptop hold instances"},
		"quota reached": {facts(member("web", &masterv1.PartitionStatus{Colour: red("refused: the quota of 1440 bangs a day is used up until 00:00 UTC"), Latest: well().Latest})), "web: refused: the quota of 1440 bangs a day is used up until 00:00 UTC"},
	}

	storm := facts(member("web", &masterv1.PartitionStatus{Colour: red("process web banged: exit 1"), Latest: well().Latest}))
	storm.Tree.Conditions = []string{"bang storm: process web of web, 7 futile bangs in a row"}
	faults["bang storm"] = struct {
		facts Facts
		want  string
	}{storm, "bang storm: process web of web, 7 futile bangs in a row"}

	promise := facts(member("web", failed("promise", "web-listens: connection refused")))
	value := 0.0
	promise.Promises["t0123456789ab.a-web"] = []*promisev1.PromiseStatus{
		{Verdict: &typev1.Verdict{Promise: "disk-space", Message: "fine"}, At: before(time.Second)},
		{Verdict: &typev1.Verdict{Promise: "web-listens", TestFailed: true, Message: "trying\nconnection refused", Since: before(4 * time.Minute)}, At: before(2 * time.Second), Value: &value},
	}
	faults["promise fails"] = struct {
		facts Facts
		want  string
	}{promise, "web: promise web-listens fails: connection refused"}

	// The one that waits comes first in the tree; what it waits for is the cause.
	waiting := facts(member("front", failed("not_available", `instance "db" is not ready`)), member("db", failed("profile", "db.cfg:1: broken")))
	faults["request not available"] = struct {
		facts Facts
		want  string
	}{waiting, "db: profile error: db.cfg:1: broken"}

	software := facts(member("web", failed("not_available", "software release is not installed")))
	software.Software["laptop"] = []*masterv1.Software{{
		SoftwareRelease: "file:///opt/hello", Reported: masterv1.SoftwareState_SOFTWARE_STATE_ERROR, Error: "downloading\nchecksum is wrong", RetryAt: timestamppb.New(now.Add(8 * time.Second)),
	}}
	faults["release does not install"] = struct {
		facts Facts
		want  string
	}{software, "web: software release file:///opt/hello does not install on laptop: checksum is wrong; tried again in 8 s"}

	gone := facts(member("web", &masterv1.PartitionStatus{Colour: red("no result for 25h0m0s; it runs at least every 24h0m0s"), Latest: well().Latest}))
	gone.Computers["laptop"] = &masterv1.Computer{Name: "laptop", Colour: red("no contact for 2h5m0s"), LastContact: before(2*time.Hour + 5*time.Minute)}
	faults["node gone"] = struct {
		facts Facts
		want  string
	}{gone, "web: computer laptop was heard of last 2 h 5 min ago, so nothing is known of it: no result for 25h0m0s; it runs at least every 24h0m0s"}

	silent := facts(member("web", well()))
	silent.Computers["laptop"] = &masterv1.Computer{Name: "laptop", Colour: &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_ORANGE, Reason: "no contact for 12m0s"}, LastContact: before(12 * time.Minute)}
	faults["node gone, tree still green"] = struct {
		facts Facts
		want  string
	}{silent, "computer laptop: no contact for 12m0s; what it said last was well"}

	refused := facts(member("web", &masterv1.PartitionStatus{Colour: red("refused: 3 bangs of this day are used up"), Latest: well().Latest}))
	refused.Bangs = []*masterv1.Bang{{
		Outcome: masterv1.BangOutcome_BANG_OUTCOME_REFUSED, Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS, Source: "web", Message: "exit 1", Reason: "refused: 3 bangs of this day are used up",
		InstanceId: "t0123456789ab.i-web",
	}}
	faults["quota reached"] = struct {
		facts Facts
		want  string
	}{refused, "web: process web banged (exit 1), refused: 3 bangs of this day are used up"}

	alone := facts(member("web", &masterv1.PartitionStatus{Colour: red("banged by ann"), Latest: well().Latest}))
	alone.Agenda["t0123456789ab.a-web"] = &schedulerv1.AgendaEntry{}
	faults["node gone, and it is to run"] = struct {
		facts Facts
		want  string
	}{alone, "web: the node of laptop takes no orders (heard of last 10 s ago), so nothing runs there: banged by ann"}

	for name, fault := range faults {
		if got := Of(fault.facts, now).Cause; got != fault.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, fault.want)
		}
	}
}

// What was tried and what comes next belong to the answer, in words; what is not known is said.
func TestTheStoryTellsWhatWasTriedAndWhatComesNext(t *testing.T) {
	f := facts(member("web", failed("profile", "line 1\nline 2")))
	f.Agenda["t0123456789ab.a-web"] = &schedulerv1.AgendaEntry{DueAt: timestamppb.New(now.Add(4 * time.Second)), Cause: typev1.Cause_CAUSE_RETRY, Reason: "growing delay, attempt 4", Connected: true}
	f.Bangs = []*masterv1.Bang{{
		BangId: "t0123456789ab.b7", At: before(time.Minute), Outcome: masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED, Origin: typev1.BangOrigin_BANG_ORIGIN_PROCESS,
		Source: "web", Message: "exit 1", InstanceId: "t0123456789ab.i-web",
	}}
	f.Convergence = &masterv1.Convergence{ConvergenceId: "t0123456789ab.c3"}
	f.Silent = []string{"the promises: svc-promise did not answer"}
	s := Of(f, now)
	m := s.Members[0]
	for want, got := range map[string]string{
		"retry run, attempt 3, failure 20 s ago after 1 s; it never succeeded": m.Tried,
		"runs in 4 s (retry): growing delay, attempt 4":                        m.Next,
		"line 1\nline 2": m.Error,
		"t0123456789ab.b7 1 min 0 s ago: accepted by process web: exit 1":                                               strings.Join(s.Bangs, "\n"),
		"the promises: svc-promise did not answer":                                                                      strings.Join(s.Unknown, "\n"),
		"vow tree hello vow trace t0123456789ab.c3 vow promise list t0123456789ab.a-web vow agenda laptop/slappart-web": strings.Join(s.Look, " "),
	} {
		if got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

// A computer that is not heard of says so, and that its services go on; one that is heard of names what is red on it.
func TestAComputerSaysWhetherItIsHeardOf(t *testing.T) {
	c := laptop()
	c.Partitions = []*masterv1.Partition{{Name: "slappart0", InstanceTitle: "web", Colour: red("run failed, attempt 2: profile")}, {Name: "slappart1"}}
	if got, want := Of(Facts{Computer: c}, now).Cause, "it was heard of 10 s ago; red on it: web"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Of(Facts{Computer: c, NodeSilent: true}, now).Cause; !strings.HasPrefix(got, "its node does not answer over its link to svc-master, and was heard of last 10 s ago") {
		t.Errorf("got %q", got)
	}
	if got := Of(Facts{Computer: c, Node: &nodev1.GetStatusResponse{Disk: "no space"}}, now).Conditions; !slices.Equal(got, []string{"bad disk: no space"}) {
		t.Errorf("got %q", got)
	}
	c.Colour, c.LastContact = red("no contact for 2h0m0s"), before(2*time.Hour)
	if got := Of(Facts{Computer: c}, now).Cause; !strings.HasPrefix(got, "its node was heard of last 2 h 0 min ago") || !strings.Contains(got, "services and promises are kept") {
		t.Errorf("got %q", got)
	}
}

// An instance that is asked about by name is told of although it is Green.
func TestAGreenInstanceThatIsAskedAboutTellsItsLatestRun(t *testing.T) {
	f := facts(member("web", well()))
	f.Instance = "t0123456789ab.i-web"
	s := Of(f, now)
	if s.Thing != "instance hello/web" || s.Cause != "every promise holds" || len(s.Members) != 1 || !strings.Contains(s.Members[0].Tried, "success 1 h 0 min ago") {
		t.Errorf("got %+v", s)
	}
}

// A red partition of a paused tree says so in its first line: nothing mends it before the end.
func TestAPauseIsToldBeforeTheCause(t *testing.T) {
	f := facts(member("web", failed("profile", "no such section")))
	f.Tree.Pause = &typev1.Pause{Generation: &typev1.Generation{Epoch: 1, Number: 4}, Until: before(-time.Hour), Reason: "new disk", By: "ann"}
	if got, want := Of(f, now).Cause, "tree paused until 2026-03-01T13:00:00Z by ann (new disk), so nothing mends it before: web: profile error: no such section"; got != want {
		t.Errorf("the cause is %q, want %q", got, want)
	}
	f.Tree.Pause = nil
	f.Agenda["t0123456789ab.a-web"] = &schedulerv1.AgendaEntry{Pause: &typev1.Pause{Until: before(-time.Hour)}, Connected: true}
	if got := Of(f, now).Cause; !strings.HasPrefix(got, "computer paused until 2026-03-01T13:00:00Z, so") {
		t.Errorf("the cause is %q", got)
	}
}

// Whoever looks why nothing comes to a computer is told that somebody closed it.
func TestAClosedComputerSaysWhoClosedItAndWhy(t *testing.T) {
	c := laptop()
	c.Closure = &masterv1.Closure{Kind: masterv1.ClosureKind_CLOSURE_KIND_DRAIN, By: "me", Reason: "new kernel", Since: before(time.Minute)}
	if got := Of(Facts{Computer: c}, now).Cause; got != "nothing is allocated on it: drain by me 1 min 0 s ago: new kernel" {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsDueInAPausedTreeRunsWhenThePauseEnds(t *testing.T) {
	i := member("web", failed("promise", "web-listens failed"))
	f := facts(i)
	f.Agenda = map[string]*schedulerv1.AgendaEntry{i.GetAllocationId(): {
		Connected: true, DueAt: before(time.Second), Cause: typev1.Cause_CAUSE_BANG, Pause: &typev1.Pause{Until: timestamppb.New(now.Add(2 * time.Hour))}, Reason: "tree paused",
	}}
	if got := next(f, i, now); got != "runs in 2 h 0 min, when the pause ends, or is ended (bang): tree paused" {
		t.Errorf("got %q", got)
	}
}
