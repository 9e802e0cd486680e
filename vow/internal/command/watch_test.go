package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/vow/internal/terminal/terminaltest"
	"github.com/vow-os/vow/vow/internal/watch"
)

// What turns is told as a line, or as an object, where nobody looks at a screen.
func TestWatchTellsWhatTurnsWhereThereIsNoTerminal(t *testing.T) {
	serve(t)
	for _, format := range []string{"text", "json"} {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out, errOut := &lines{left: 2, stop: stop}, &strings.Builder{}
		if code := Run(ctx, []string{"watch", "-o", format}, out, errOut); code != exitOK {
			t.Fatalf("exit %d: %s", code, errOut)
		}
		told := out.String()
		if format == "text" {
			if !strings.Contains(told, "tree         hello                 Red       web: run failed, attempt 2") || !strings.Contains(told, "computer     laptop                Green") {
				t.Errorf("told:\n%s", told)
			}
			continue
		}
		for decoder := json.NewDecoder(strings.NewReader(told)); decoder.More(); {
			var c watch.Change
			if err := decoder.Decode(&c); err != nil || c.Colour == "" || c.At.IsZero() || strings.Count(told, "\n") != 2 {
				t.Errorf("%v, %+v of\n%s", err, c, told)
			}
		}
	}
}

// On a terminal there is a screen, which goes with the key q.
func TestWatchShowsAScreenOnATerminalUntilSomebodyQuits(t *testing.T) {
	serve(t)
	t.Setenv("VOW_SCHEDULER_ADDRESS", "127.0.0.1:1")
	person, program := terminaltest.Pair(t)
	ended, errOut := make(chan int, 1), &strings.Builder{}
	go func() { ended <- Run(t.Context(), []string{"watch"}, program, errOut) }()
	var seen strings.Builder
	until := func(what string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for !strings.Contains(seen.String(), what) {
			n, err := person.Read(buffer)
			if err != nil {
				t.Fatalf("%v before %q was seen:\n%q", err, what, seen.String())
			}
			seen.Write(buffer[:n])
		}
	}
	until("web: run failed, attempt 2")
	until("\x1b[31m1 Red\x1b[0m")
	until("svc-scheduler does not answer") // nobody listens there
	if _, err := person.WriteString("rq"); err != nil {
		t.Fatal(err)
	}
	until("\x1b[?1049l")
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, errOut)
	}
}

// The convergence of a bang is followed to its end, once.
func TestWatchFollowsTheConvergencesOfBangs(t *testing.T) {
	f := serve(t)
	f.feed.mu.Lock()
	f.feed.bang = true
	f.feed.mu.Unlock()
	f.converging = "t0123456789ab.c1"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, errOut := &lines{left: 4, stop: stop}, &strings.Builder{}
	if code := Run(ctx, []string{"watch"}, out, errOut); code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{"open, 0 of 1 settled after 100 ms", "converged, 1 of 1 settled after 300 ms"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("want once %q in\n%s", want, out)
		}
	}
}

// However many trees converge at once, each is followed to its end: those that find no room when others ended.
func TestWatchFollowsEachOfManyConvergences(t *testing.T) {
	f := serve(t)
	f.converging = "each"
	var out strings.Builder
	s := &session{out: &out}
	clients, err := s.fleet()
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()
	w := &watching{session: s, fleet: clients, board: watch.New(), followed: map[string]bool{}, room: make(chan struct{}, 2)}
	const trees = 9
	for n := range trees {
		w.banged(t.Context(), fmt.Sprintf("t%d", n))
	}
	w.followers.Wait()
	for _, want := range []string{"open, 0 of 1 settled", "converged, 1 of 1 settled"} {
		if got := strings.Count(out.String(), want); got != trees {
			t.Errorf("%q is told %d times, want %d:\n%s", want, got, trees, &out)
		}
	}
	if w.board.Waiting != 0 || len(w.followed) != 0 {
		t.Errorf("at the end %d wait and %d are followed", w.board.Waiting, len(w.followed))
	}
}

func (f *fake) WatchConvergence(_ context.Context, r *masterv1.WatchConvergenceRequest, stream *connect.ServerStream[masterv1.WatchConvergenceResponse]) error {
	c := &masterv1.Convergence{
		ConvergenceId: r.GetId(), TreeId: "t0123456789ab", Title: "hello", State: masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, DurationSeconds: 0.1, Members: []*masterv1.ConvergenceMember{{Title: "web"}},
	}
	if err := stream.Send(&masterv1.WatchConvergenceResponse{Convergence: c}); err != nil {
		return err
	}
	c.State, c.ClosedAt, c.DurationSeconds, c.Members[0].Settled = masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED, timestamppb.Now(), 0.3, true
	return stream.Send(&masterv1.WatchConvergenceResponse{Convergence: c})
}
