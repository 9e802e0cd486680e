package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func colour(c typev1.Colour, reason string, age time.Duration) *typev1.ColourStatus {
	return &typev1.ColourStatus{Colour: c, Reason: reason, Since: timestamppb.New(noon.Add(-age))}
}

func tree(n int, c *typev1.ColourStatus) *masterv1.WatchTreeColoursResponse {
	return &masterv1.WatchTreeColoursResponse{TreeId: fmt.Sprint("t", n), Title: fmt.Sprint("tree", n), Colour: c}
}

func board() *Board {
	b := New()
	b.Tree(tree(1, colour(typev1.Colour_COLOUR_GREEN, "", time.Hour)), noon)
	b.Tree(tree(2, colour(typev1.Colour_COLOUR_RED, "web: run failed, attempt 2: promise: \x1b[2Jweb-listens failed", 90*time.Second)), noon)
	b.Computer(&masterv1.WatchComputerColoursResponse{Computer: "laptop", Colour: colour(typev1.Colour_COLOUR_GREEN, "", time.Hour)}, noon)
	b.Computer(&masterv1.WatchComputerColoursResponse{Computer: "rack7", Colour: colour(typev1.Colour_COLOUR_ORANGE, "silent for 6 min", time.Minute)}, noon)
	b.Agenda([]*schedulerv1.AgendaEntry{
		{AllocationId: "t1.a1", DueAt: timestamppb.New(noon.Add(time.Hour))}, {AllocationId: "t1.a2", DueAt: timestamppb.New(noon.Add(5 * time.Second))}, {AllocationId: "t2.a1", Begun: true}, {AllocationId: "gone.a1"},
	})
	b.Convergence(&masterv1.Convergence{
		ConvergenceId: "t2.c3", Title: "tree2", State: masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, OpenedAt: timestamppb.New(noon.Add(-2 * time.Second)),
		Members: []*masterv1.ConvergenceMember{{Settled: true}, {Title: "web", Computer: "laptop", Partition: "slappart0", RunInProgress: "r", Blocker: "last run failed"}, {}},
	}, noon)
	return b
}

func TestTheScreenTellsTheWorstFirstAndFits(t *testing.T) {
	b := board()
	const want = `12:00:00   2 trees  1 Red  1 Green   2 computers  1 Orange  1 Green

  CONVERGENCES
◆ tree2                    ████░░░░░░░░   1/3   2 s          t2.c3  1 running, waits: web (laptop/slappart0): last run failed

  COMPUTERS that are not Green
● rack7                    Orange   1 min 0 s    -              silent for 6 min

  TREE                     COLOUR   SINCE        NEXT RUN       WHY
● tree2                    Red      1 min 30 s   1 running      web: run failed, attempt 2: promise:  [2Jweb-listens failed
● tree1                    Green    1 h 0 min    in 5 s` + "         \n" + `q quit   r only what is not Green`
	lines, bottom := b.Draw(View{Width: 160, Height: 40, Now: noon})
	if got := strings.Join(lines, "\n"); got != want || bottom != 0 {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if lines, _ := b.Draw(View{Width: 160, Height: 40, Now: noon, Open: true}); strings.Contains(strings.Join(lines, "\n"), "tree1") {
		t.Error("what is Green is not hidden")
	}
	b.Waiting = 12
	if lines, _ := b.Draw(View{Width: 160, Height: 40, Now: noon}); !strings.HasPrefix(lines[2], "  CONVERGENCES (those of 12 more trees") {
		t.Errorf("it is not said that more convergences are open: %q", lines[2])
	}
	for n := range 200 {
		b.Tree(tree(n+3, colour(typev1.Colour_COLOUR_GREEN, strings.Repeat("ü", n), time.Hour)), noon)
	}
	b.Away("svc-master", noon.Add(-time.Minute))
	for _, size := range [][2]int{{1, 1}, {20, 3}, {40, 10}, {80, 24}, {200, 60}} {
		for _, colours := range []bool{false, true} {
			lines, bottom := b.Draw(View{Width: size[0], Height: size[1], Now: noon, Colours: colours, Top: 1000})
			if len(lines) > size[1] || bottom < 100 {
				t.Errorf("%v: %d lines, %d to scroll", size, len(lines), bottom)
			}
			for _, line := range lines {
				if n := shown(line); n > size[0] || !utf8.ValidString(line) || strings.Contains(line, "\x1b[2J") {
					t.Errorf("%v: %d wide: %q", size, n, line)
				}
				if last := strings.LastIndex(line, "\x1b["); last >= 0 && !strings.HasPrefix(line[last:], plain) {
					t.Errorf("%v: a colour goes on behind the line: %q", size, line)
				}
			}
		}
	}
	if lines, _ := b.Draw(View{Width: 200, Height: 24, Now: noon}); !strings.Contains(lines[0], "svc-master does not answer for 1 min 0 s") {
		t.Errorf("the head does not say that svc-master is away: %s", lines[0])
	}
}

func TestWhatIsToldAnewIsNoNewsAndWhatIsNotToldAgainIsGone(t *testing.T) {
	b := New()
	green, red := colour(typev1.Colour_COLOUR_GREEN, "", 0), colour(typev1.Colour_COLOUR_RED, "why", 0)
	told := func(c []Change) string {
		var all []string
		for _, one := range c {
			all = append(all, strings.Join(strings.Fields(one.String()), " "))
		}
		return strings.Join(all, "; ")
	}
	for n, step := range []struct {
		tree   *masterv1.WatchTreeColoursResponse
		want   string
		reopen bool
	}{
		{tree: tree(1, green), want: "tree tree1 Green"},
		{tree: tree(2, green), want: "tree tree2 Green"},
		{tree: tree(1, red), want: "tree tree1 Red why"},
		{tree: tree(1, red)},
		{tree: tree(1, red), reopen: true},
		{tree: tree(1, nil), want: "tree tree1 gone"},
		{tree: tree(1, red), want: "tree tree1 Red why"},
	} {
		at := noon.Add(time.Duration(n) * time.Second)
		if step.reopen {
			b.Opened("tree", at)
		}
		if got := told(b.Tree(step.tree, at)); got != step.want {
			t.Errorf("step %d: %q, want %q", n, got, step.want)
		}
	}
	b.Sweep(noon.Add(10 * time.Second))
	if len(b.trees) != 2 {
		t.Errorf("%d trees at once after the stream came back, want 2", len(b.trees))
	}
	c := &masterv1.Convergence{ConvergenceId: "t1.c1", Title: "tree1", State: masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, Members: []*masterv1.ConvergenceMember{{}}}
	if got := told(b.Convergence(c, noon)); got != "convergence tree1 open, 0 of 1 settled after 0 ms" {
		t.Errorf("told %q", got)
	}
	if got := told(b.Convergence(c, noon)); got != "" {
		t.Errorf("told again: %q", got)
	}
	c.State, c.ClosedAt, c.DurationSeconds, c.Members[0].Settled = masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED, timestamppb.New(noon), 0.25, true
	if got := told(b.Convergence(c, noon)); got != "convergence tree1 converged, 1 of 1 settled after 250 ms" {
		t.Errorf("told %q", got)
	}
	b.Sweep(noon.Add(time.Hour))
	if len(b.trees) != 1 || len(b.convergences) != 0 || len(b.shown) != 1 {
		t.Errorf("an hour later there are %d trees, %d convergences, %d things shown; want the tree that was told again", len(b.trees), len(b.convergences), len(b.shown))
	}
}
