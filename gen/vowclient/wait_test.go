package vowclient

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

func clone[M proto.Message](m M) M { return proto.CloneOf(m) }

// inBubble runs a story in virtual time, which ends when the whole bubble is idle: a goroutine that is left fails it.
func inBubble(t *testing.T, story func(t *testing.T, f *fake, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		story(t, f, f.client())
	})
}

// took wants that something took about so long.
func took(t *testing.T, began time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(began); d < least || d > most {
		t.Errorf("it took %s, want %s to %s", d, least, most)
	}
}

func TestAWaitEndsAtTheMomentTheTreeIsGreen(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		began := time.Now()
		after(2500*time.Millisecond, f.settle)
		tree, err := c.WaitGreen(t.Context(), "t1")
		if err != nil || tree.GetTitle() != "shop" {
			t.Fatal(tree, err)
		}
		took(t, began, 2500*time.Millisecond, 2500*time.Millisecond)
	})
}

func TestAGreenTreeThatHasNotRunSinceItsChangeIsNotReady(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.settle()
		f.change(func() { f.tree.GetInstances()[0].GetStatus().Wanted = &typev1.Generation{Epoch: 1, Number: 2} })
		began := time.Now()
		after(10500*time.Millisecond, f.settle)
		i, err := c.RequestAndWait(t.Context(), &masterv1.RequestInstanceRequest{Title: "shop"})
		if err != nil || i.GetStatus().GetSettled().GetNumber() != 2 {
			t.Fatal(i, err)
		}
		took(t, began, 10500*time.Millisecond, 10500*time.Millisecond)
	})
}

func TestAWaitGoesOnOverARestartOfTheMaster(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		began := time.Now()
		after(1*time.Second, func() { f.change(func() { f.down = unavailable("it restarts") }) })
		after(11*time.Second, func() { f.change(func() { f.down = nil }) })
		after(20*time.Second, f.settle)
		if _, err := c.WaitGreen(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		took(t, began, 20*time.Second, 20*time.Second)
		if f.streams > 12 || f.looks > 30 {
			t.Errorf("%d streams and %d readings in 20 s: it does not grow its delay", f.streams, f.looks)
		}
	})
}

func TestAWatchThatDiedSilentlyOnlySlowsAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.deaf = true
		began := time.Now()
		after(20*time.Second, f.settle)
		if _, err := c.WaitGreen(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		took(t, began, 20*time.Second, 20*time.Second+lookMax)
	})
}

func TestAWaitGivesUpWhenNothingAnswersForItsPatience(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.down = unavailable("connection refused")
		began := time.Now()
		_, err := c.WaitGreen(t.Context(), "t1")
		if err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Fatal(err)
		}
		took(t, began, Patience-retryMax, Patience)
	})
}

func TestAWaitThatEndsSaysWhyTheTreeIsNotReady(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.tree.GetInstances()[0].GetStatus().Latest = &masterv1.RunSummary{Error: "no space left\n"}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := c.WaitGreen(ctx, "t1")
		var e *NotReadyError
		if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || e.Tree.GetTitle() != "shop" {
			t.Fatalf("%#v", err)
		}
		if want := "web has not run yet; shop: no space left"; e.Reason != want {
			t.Errorf("it says %q, want %q", e.Reason, want)
		}
	})
}

// The server is told the deadline with each call, and may be first to notice that it is over.
func TestADeadlineThatTheServerNoticesFirstEndsAWaitAsTheCallersOwnDoes(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		late := func() {
			f.change(func() { f.down = connect.NewError(connect.CodeDeadlineExceeded, context.DeadlineExceeded) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		after(time.Second-10*time.Millisecond, late)
		_, err := c.WaitConverged(ctx, "t1.c1")
		var open *NotConvergedError
		if !errors.As(err, &open) || !errors.Is(err, context.DeadlineExceeded) || len(Blockers(open.Convergence)) != 1 {
			t.Errorf("a convergence: %v", err)
		}
		f.change(func() { f.down = nil })
		ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		after(3*time.Second-10*time.Millisecond, late)
		_, err = c.WaitTree(ctx, "t1", func(*masterv1.Tree) bool { return false })
		var waiting *NotReadyError
		if !errors.As(err, &waiting) || !errors.Is(err, context.DeadlineExceeded) || waiting.Tree.GetTitle() != "shop" {
			t.Errorf("a tree: %v", err)
		}
	})
}

func TestAnErrorThatTheTreeNamesIsNotSaidTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.tree.Colour.Reason = "shop: run failed, attempt 2: profile: no space left"
		f.tree.GetInstances()[0].GetStatus().Latest = &masterv1.RunSummary{Error: "no space left\n"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.WaitGreen(ctx, "t1")
		var e *NotReadyError
		if !errors.As(err, &e) || e.Reason != f.tree.GetColour().GetReason() {
			t.Errorf("it says %v", err)
		}
	})
}

func TestWhatIsDestroyedIsWaitedForUntilItIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.tree.GetInstances()[0].State = typev1.RequestedState_REQUESTED_STATE_DESTROYED
		began := time.Now()
		after(time.Second, func() { f.change(func() { f.gone = true }) })
		i, err := c.RequestAndWait(t.Context(), &masterv1.RequestInstanceRequest{Title: "shop", State: typev1.RequestedState_REQUESTED_STATE_DESTROYED})
		if err != nil || i.GetInstanceId() != "t1.i1" {
			t.Fatal(i, err)
		}
		took(t, began, time.Second, time.Second)
	})
}

func TestAnInstanceThatSomebodyElseDestroyedIsNotWaitedForForEver(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		after(time.Second, func() { f.change(func() { f.tree.Instances = nil }) })
		if i, err := c.RequestAndWait(t.Context(), &masterv1.RequestInstanceRequest{Title: "shop"}); !IsNotFound(err) {
			t.Error(i, err)
		}
	})
}

func TestARepeatedCallHasOneKey(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		f.down = unavailable("it restarts")
		after(5*time.Second, func() { f.change(func() { f.down = nil }) })
		if _, err := c.Request(t.Context(), &masterv1.RequestInstanceRequest{Title: "shop"}); err != nil {
			t.Fatal(err)
		}
		if len(f.keys) != 1 || f.requests < 3 || f.keys[""] != 0 {
			t.Errorf("%d calls with the keys %v", f.requests, f.keys)
		}
		if Key("deploy", "7") != Key("deploy", "7") || Key("a", "bc") == Key("ab", "c") || NewKey() == NewKey() {
			t.Error("keys are not what their makers say")
		}
	})
}

func TestAConvergenceIsFollowedToItsEndOverABrokenStream(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		after(1*time.Second, func() { f.change(func() { f.down = unavailable("it restarts") }) })
		after(2*time.Second, func() { f.change(func() { f.down = nil }) })
		after(90*time.Second, func() { f.change(func() { f.convergence.GetMembers()[0].Settled = true }) })
		after(95*time.Second, func() {
			f.change(func() {
				f.convergence.State, f.convergence.ClosedAt = masterv1.ConvergenceState_CONVERGENCE_STATE_CONVERGED, timestamppb.Now()
			})
		})
		began, seen := time.Now(), 0
		for one, err := range c.Follow(t.Context(), "t1.c1") {
			if err != nil {
				t.Fatal(err)
			}
			seen++
			_ = one
		}
		took(t, began, 95*time.Second, 95*time.Second)
		if seen != 3 {
			t.Errorf("%d states were told, want 3: open, settled, converged", seen)
		}
		if f.streams < 3 {
			t.Errorf("%d streams: it was not opened again each minute", f.streams)
		}
		for range c.Follow(t.Context(), "t1.c1") {
			break // leaves no goroutine and yields no more
		}
	})
}

func TestAConvergenceThatEndsOtherwiseIsAnErrorWithItsReason(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, c *Client) {
		request := &masterv1.BangRequest{Target: &masterv1.BangRequest_TreeId{TreeId: "t1"}, Source: "test"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.BangAndWait(ctx, request)
		var e *NotConvergedError
		if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "shop (one/p0): has not run yet") {
			t.Errorf("still open: %v", err)
		}
		f.change(func() {
			f.convergence.State, f.convergence.ClosedAt, f.convergence.Reason = masterv1.ConvergenceState_CONVERGENCE_STATE_ABANDONED, timestamppb.Now(), "ops: enough"
		})
		_, err = c.BangAndWait(t.Context(), request)
		if !errors.As(err, &e) || errors.Unwrap(e) != nil || err.Error() != "convergence t1.c1 ended abandoned: ops: enough" {
			t.Errorf("abandoned: %v", err)
		}
	})
}

func TestPagesAreReadAsTheyAreNeeded(t *testing.T) {
	fetched := 0
	numbers := Pages(func(token string) ([]int, string, error) {
		fetched++
		switch token {
		case "":
			return []int{1, 2}, "b", nil
		case "b":
			return nil, "c", nil
		}
		return []int{3}, "", errors.New("cannot list more")
	})
	for n := range numbers {
		if n == 2 {
			break
		}
	}
	if fetched != 1 {
		t.Errorf("%d pages were asked for, one was needed", fetched)
	}
	all, err := Collect(numbers)
	if len(all) != 2 || err == nil {
		t.Errorf("%v, %v", all, err)
	}
}
