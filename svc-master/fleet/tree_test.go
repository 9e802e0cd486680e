package fleet

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBadInputIsRefusedByTheNameOfItsField(t *testing.T) {
	long := strings.Repeat("x", MaxParameters)
	tree := grown(t, 1)
	for _, c := range []struct {
		event Event
		kind  Kind
		field string
	}{
		{Request{Title: "", Release: "r"}, InvalidArgument, "title"},
		{Request{Title: strings.Repeat("x", 256), Release: "r"}, InvalidArgument, "title"},
		{Request{Title: "a\nb", Release: "r"}, InvalidArgument, "title"},
		{Request{Title: "\xff", Release: "r"}, InvalidArgument, "title"},
		{Request{Title: "x"}, InvalidArgument, "software_release"},
		{Request{Title: "x", Release: "r", State: 9}, InvalidArgument, "state"},
		{Request{Title: "x", Release: "r", Parameters: map[string]string{"k": long}}, InvalidArgument, "parameters"},
		{Rename{InstanceID: "t0.i1", Title: ""}, InvalidArgument, "title"},
		{SetState{InstanceID: "t0.i1"}, InvalidArgument, "state"},
		{SetState{InstanceID: "t0.i7", State: Stopped}, NotFound, ""},
		{Allocate{InstanceID: "t0.i1", Computer: "c"}, InvalidArgument, "partition"},
		{Allocate{InstanceID: "t0.i7", Computer: "c", Partition: "p"}, NotFound, ""},
		{Unallocated{InstanceID: "t0.i7"}, NotFound, ""},
		{Freed{AllocationID: "t0.a7"}, FailedPrecondition, ""},
		{Bang{Source: "x"}, InvalidArgument, "origin"},
		{Bang{Origin: OriginManual}, InvalidArgument, "source"},
		{Bang{Origin: OriginManual, Source: "x", Message: long}, InvalidArgument, "message"},
		{Bang{Origin: OriginPromise, Source: "x"}, InvalidArgument, "allocation_id"},
		{Bang{Origin: OriginPromise, Source: "x", AllocationID: "t0.a7"}, FailedPrecondition, ""},
		{BeginRun{AllocationID: "t0.a1"}, InvalidArgument, "run_id"},
		{ReportRun{AllocationID: "t0.a1"}, InvalidArgument, "run_id"},
		{ReportRun{AllocationID: "t0.a1", RunID: "x"}, InvalidArgument, "result"},
		{ReportRun{AllocationID: "t0.a7", RunID: "x", Result: Success}, FailedPrecondition, ""},
		{ReportRun{AllocationID: "t0.a1", RunID: "x", Result: Success, Local: &LocalRun{}}, InvalidArgument, "local"},
		{Publish{AllocationID: "t0.a7"}, FailedPrecondition, ""},
		{Abandon{ConvergenceID: "t0.c1"}, NotFound, ""},
	} {
		before := string(stored(t, tree))
		_, fx, err := tree.Step(c.event, noon)
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Field != c.field || !strings.HasPrefix(e.Message, "cannot ") {
			t.Errorf("%T %+.60v: got %v, want %s %s", c.event, c.event, err, c.kind, c.field)
		}
		if !fx.None() || string(stored(t, tree)) != before {
			t.Errorf("%T had effects", c.event)
		}
	}
	if KindOf(fmt.Errorf("some other")) != 0 {
		t.Error("an error of somebody else has a kind")
	}
}

func TestTenThousandJoinedBangsDoNotMakeTheConvergenceGrow(t *testing.T) {
	tree := grown(t, 3)
	for n := range 10_000 {
		if _, _, err := tree.Bang(Bang{Origin: OriginManual, Source: "ann"}, noon.Add(time.Duration(n)*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	c := tree.Convergence
	if len(c.Awaiting) != 1 || c.Awaiting[0].Next.Count != 9_999 || len(c.Timeline) != 3 || c.Timeline[2].Folds != 9_999 {
		t.Errorf("it awaits %+v and tells %d moments", c.Awaiting, len(c.Timeline))
	}
	next := c.Awaiting[0].Next
	if next.First[0].Number != 2 || next.Last[MaxBangsTold-1].Number != 10_000 {
		t.Errorf("it tells the bangs %+v", next)
	}
	if size := len(stored(t, tree)); size > 16<<10 {
		t.Errorf("the tree has %d bytes", size)
	}
	for a := range 3 {
		runs(t, tree, fmt.Sprintf("t0.a%d", a+1), "run")
	}
	if tree.Convergence != nil || c.Satisfied != 10_000 || c.Joined != 9_999 {
		t.Errorf("it satisfied %d bangs, %d joined", c.Satisfied, c.Joined)
	}
}

func TestATimelineKeepsItsBeginningAndItsEnd(t *testing.T) {
	tree := grown(t, 1)
	bang := Bang{Origin: OriginManual, Source: "ann"}
	if _, _, err := tree.Bang(bang, noon); err != nil {
		t.Fatal(err)
	}
	for n := range MaxTimeline {
		run := fmt.Sprintf("r%d", n)
		a, _, err := tree.BeginRun(BeginRun{AllocationID: "t0.a1", RunID: run, DueAt: noon, OrderedAt: noon.Add(time.Hour)}, noon)
		if err != nil {
			t.Fatal(err)
		}
		e := ReportRun{AllocationID: "t0.a1", RunID: run, Token: a.Token, Result: Failure, Error: strings.Repeat("é", MaxErrorKept), Steps: []Step{{Name: "profile", Offset: time.Hour, Result: Failure}}}
		if _, _, err := tree.ReportRun(e, noon); err != nil {
			t.Fatal(err)
		}
	}
	c := tree.Convergence
	for _, e := range c.Timeline {
		if e.At.After(noon) || len(e.Text) > MaxTextKept || strings.ContainsRune(e.Text, '\uFFFD') {
			t.Fatalf("a moment lies in the future or tells too much: %+v", e)
		}
	}
	if p := tree.Partitions["t0.i1"]; len(p.Latest.Error) > MaxErrorKept || p.FailuresInRow != MaxTimeline {
		t.Errorf("%d bytes of error kept after %d failures", len(p.Latest.Error), p.FailuresInRow)
	}
	if _, _, err := tree.Abandon(Abandon{}, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	last := c.Timeline[len(c.Timeline)-1]
	if len(c.Timeline) != MaxTimeline || last.Moment != MomentClosed || c.Timeline[1].Moment != MomentBanged || c.Dropped != 2+5*MaxTimeline+1-MaxTimeline {
		t.Errorf("%d moments, %d dropped, the last is %s", len(c.Timeline), c.Dropped, last.Moment)
	}
}

func TestKeysAndRowsOfAPartitionAreBounded(t *testing.T) {
	tree := grown(t, 1)
	for n := range 3 * MaxFutileRows {
		e := Bang{AllocationID: "t0.a1", Origin: OriginPromise, Source: fmt.Sprintf("p%d", n)}
		first, _, err := tree.Bang(e, noon)
		if err != nil {
			t.Fatal(err)
		}
		again, fx, _ := tree.Bang(e, noon.Add(time.Hour))
		if again != first || !fx.None() {
			t.Fatalf("the same key got %+v after %+v", again, first)
		}
		runs(t, tree, "t0.a1", fmt.Sprintf("run%d", n))
		if err := tree.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBeyondTheBoundOfScopesABangConcernsTheWholeTree(t *testing.T) {
	tree := grown(t, MaxScopes+3)
	for i := range MaxScopes + 2 {
		allocation := fmt.Sprintf("t0.a%d", i+2)
		_, p := tree.Allocated(allocation)
		p.Options.Policy = PolicyAncestors
		if _, _, err := tree.Bang(Bang{AllocationID: allocation, Origin: OriginPromise, Source: "p"}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if c := tree.Convergence; !c.Whole || len(c.Origins) != MaxScopes || tree.Banged.Number != MaxScopes+2 {
		t.Errorf("whole %t, %d origins, the newest bang of the tree is %d", c.Whole, len(c.Origins), tree.Banged.Number)
	}
	if err := tree.Check(); err != nil {
		t.Error(err)
	}
}

func TestAChainOfRequestersIsBounded(t *testing.T) {
	tree := New("t0", "default", 1)
	requester := ""
	for n := range MaxDepth {
		a, _, err := tree.Request(Request{Title: fmt.Sprint(n), Release: "r", RequesterID: requester}, noon)
		if err != nil {
			t.Fatal(err)
		}
		requester = a.InstanceID
	}
	if _, _, err := tree.Request(Request{Title: "deeper", Release: "r", RequesterID: requester}, noon); KindOf(err) != FailedPrecondition {
		t.Errorf("a chain of %d was accepted: %v", MaxDepth+1, err)
	}
}

func TestTheLateRequestOfASupersededRunChangesNothing(t *testing.T) {
	tree := grown(t, 1)
	begin := func(run string) uint64 {
		t.Helper()
		a, _, err := tree.BeginRun(BeginRun{AllocationID: "t0.a1", RunID: run, Cause: CauseBang, Attempt: 1}, noon)
		if err != nil {
			t.Fatal(err)
		}
		return a.Token
	}
	ask := func(token uint64, release string) error {
		_, _, err := tree.Request(Request{RequesterID: "t0.i1", RequesterAllocationID: "t0.a1", RequesterToken: token, Title: "child", Release: release}, noon)
		return err
	}
	early := begin("early")
	if err := ask(early, "r1"); err != nil {
		t.Fatal(err)
	}
	late := begin("late")
	if err := ask(late, "r2"); err != nil {
		t.Fatal(err)
	}
	before := tree.Generation
	if err := ask(early, "r1"); KindOf(err) != FailedPrecondition || tree.Generation != before {
		t.Errorf("the earlier run's request got %v and made generation %v of %v", err, tree.Generation, before)
	}
}

func TestTheQuotaOpensAtMidnightAndAClockThatJumpedDoesNotCloseItForLong(t *testing.T) {
	q := Quota{}
	midnight := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	spend := func(at time.Time, want bool) {
		t.Helper()
		until, ok := q.spend(1, at)
		if ok != want {
			t.Fatalf("at %s the quota gave %t", at, ok)
		}
		if !ok && !until.Equal(midnight) {
			t.Fatalf("the quota opens at %s", until)
		}
	}
	spend(noon, true)
	spend(midnight.Add(-time.Nanosecond), false)
	spend(midnight, true)
	midnight = midnight.AddDate(0, 0, 1)
	spend(noon.Add(13*time.Hour+59*time.Minute), false) // a replica whose clock is a minute behind
	q.Day += 1000
	spend(noon, true) // a clock was a thousand days ahead
	if got := day(time.Unix(-1, 0)); got != -1 {
		t.Errorf("the second before 1970 is in day %d", got)
	}
}

func TestTheColourOfAComputerIsTheAgeOfItsLastContact(t *testing.T) {
	for _, c := range []struct {
		age, up     time.Duration
		want        Colour
		unconfirmed bool
	}{
		{-time.Hour, time.Hour, Green, false},
		{5 * time.Minute, time.Hour, Green, false},
		{5*time.Minute + 1, time.Hour, Orange, false},
		{60 * time.Minute, time.Hour, Orange, false},
		{60*time.Minute + 1, time.Hour, Red, false},
		{60*time.Minute + 1, time.Minute, Red, false},
		{60*time.Minute + 1, time.Minute - 1, Red, true},
	} {
		got := ComputerColour(noon.Add(-c.age), noon, noon.Add(-c.up))
		if got.Colour != c.want || got.Unconfirmed != c.unconfirmed || (got.Reason == "") != (c.want == Green) {
			t.Errorf("%s after its contact, %s after a start, it is %+v", c.age, c.up, got)
		}
	}
	if got := ComputerColour(time.Time{}, noon, time.Time{}); got.Colour != Red || got.Reason != "never seen" {
		t.Errorf("a computer that was never seen is %+v", got)
	}
}

func TestMembersOnDeadComputersAreToldAsBlockers(t *testing.T) {
	tree := grown(t, 2)
	if _, _, err := tree.Bang(Bang{Origin: OriginManual, Source: "ann"}, noon); err != nil {
		t.Fatal(err)
	}
	contact := noon.Add(-2 * time.Hour)
	members, _ := tree.Members(map[string]time.Time{"c": contact}, noon, time.Time{})
	if len(members) != 2 || members[0].Blocker != "computer c dead since 2026-01-01T08:00:00Z" {
		t.Errorf("members %+v", members)
	}
	members, _ = tree.Members(map[string]time.Time{}, noon, time.Time{})
	if members[0].Blocker != "computer c was never seen" {
		t.Errorf("members %+v", members)
	}
}

func TestEnumerationsHaveWordsForAllTheirValues(t *testing.T) {
	for v := range uint8(12) {
		for _, s := range []fmt.Stringer{State(v), Cause(v), Result(v), Origin(v), Outcome(v), Policy(v), ConvergenceState(v), Moment(v), FeedKind(v), Colour(v), Kind(v)} {
			if s.String() == "" && v != 0 {
				t.Errorf("%T %d has no word", s, v)
			}
		}
	}
	if State(200).String() != "unknown" {
		t.Error("an unknown value has a word")
	}
}

func TestTheNextBangHasTheIdThatWasTold(t *testing.T) {
	tree := grown(t, 1)
	want := tree.NextBangID()
	a, _, err := tree.Bang(Bang{Origin: OriginComputer, Source: "c"}, noon)
	if err != nil || a.BangID != want || TreeID(a.BangID) != tree.ID {
		t.Errorf("got %s, told %s: %v", a.BangID, want, err)
	}
}

// TestCheckFindsWhatIsBroken breaks one thing after the other: a check that cannot fail is none.
func TestCheckFindsWhatIsBroken(t *testing.T) {
	for sentence, breaks := range map[string]func(tree *Tree, p *Partition){
		"a root that is gone":           func(tree *Tree, _ *Partition) { tree.RootID = "t0.i9" },
		"another title of the root":     func(tree *Tree, _ *Partition) { tree.Title = "x" },
		"no root":                       func(tree *Tree, _ *Partition) { tree.RootID = "" },
		"a bang of the future":          func(tree *Tree, _ *Partition) { tree.Banged.Generation.Number += 9 },
		"a bang that was never counted": func(tree *Tree, _ *Partition) { tree.Banged.Number = 9 },
		"a lost instance":               func(tree *Tree, _ *Partition) { delete(tree.Instances, "t0.i2") },
		"a child of a destroyed":        func(tree *Tree, _ *Partition) { tree.Instances["t0.i1"].State = Destroyed },
		"two titles":                    func(tree *Tree, _ *Partition) { tree.Instances["t0.i2"].Title = tree.Instances["t0.i3"].Title },
		"an empty parameter":            func(tree *Tree, _ *Partition) { tree.Instances["t0.i2"].Parameters["x"] = "" },
		"an unstamped instance":         func(tree *Tree, _ *Partition) { tree.Instances["t0.i2"].Generation = Generation{} },
		"two in one partition":          func(tree *Tree, p *Partition) { p.Name = tree.Partitions["t0.i3"].Name },
		"settled before it was wanted":  func(_ *Tree, p *Partition) { p.Settled.Number += 9 },
		"a run of another token":        func(_ *Tree, p *Partition) { p.Run = &Run{ID: "x", Token: 9} },
		"a run that has ended":          func(_ *Tree, p *Partition) { p.Run = &Run{ID: p.Recent[0].RunID, Token: p.Token} },
		"failures after a success":      func(_ *Tree, p *Partition) { p.FailuresInRow = 1 },
		"too many rows":                 func(_ *Tree, p *Partition) { p.Rows = make([]Row, MaxFutileRows+1) },
		"a satisfied bang that awaits":  func(tree *Tree, _ *Partition) { tree.Convergence.Awaiting[0].Current.Generation = Generation{} },
		"a lost bang":                   func(tree *Tree, _ *Partition) { tree.Convergence.Joined++ },
		"a convergence of nothing":      func(tree *Tree, _ *Partition) { tree.Convergence.Awaiting = nil },
		"a closed convergence":          func(tree *Tree, _ *Partition) { tree.Convergence.State = Converged },
		"a wrong count":                 func(tree *Tree, _ *Partition) { tree.index.unsettled-- },
		"a wrong count of those behind": func(tree *Tree, _ *Partition) { tree.index.behind[0]++ },
	} {
		tree := grown(t, 3)
		if _, _, err := tree.Bang(Bang{Origin: OriginManual, Source: "ann"}, noon); err != nil {
			t.Fatal(err)
		}
		if err := tree.Check(); err != nil {
			t.Fatal(err)
		}
		breaks(tree, tree.Partitions["t0.i2"])
		if tree.Check() == nil {
			t.Errorf("%s was not found", sentence)
		}
	}
}
