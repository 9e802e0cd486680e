package app_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/vow-os/vow/kit/app"
)

// recorder makes parts that write down what happens to them.
type recorder struct{ happened []string }

func (r *recorder) part(name string, startErr error) app.Part {
	return app.Part{
		Name:  name,
		Start: func(context.Context) error { r.happened = append(r.happened, "start "+name); return startErr },
		Stop:  func(context.Context) error { r.happened = append(r.happened, "stop "+name); return nil },
	}
}

func TestPartsStopInReverseAndOnlyThoseThatStarted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 6).Draw(t, "parts")
		fails := rapid.IntRange(0, 8).Draw(t, "the one that fails")
		r := &recorder{}
		var parts []app.Part
		var want []string
		for i := range count {
			name := string(rune('a' + i))
			var err error
			if i == fails {
				err = errors.New("broken")
			}
			parts = append(parts, r.part(name, err))
			if i <= fails {
				want = append(want, "start "+name)
			}
		}
		for i := min(count, fails) - 1; i >= 0; i-- {
			want = append(want, "stop "+string(rune('a'+i)))
		}
		s := app.NewSequence(nil, parts...)
		err := s.Start(t.Context())
		if failed := fails < count; failed != (err != nil) {
			t.Fatalf("start returned %v", err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "stops") {
			if err := s.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(r.happened, want) {
			t.Fatalf("got %q, want %q", r.happened, want)
		}
	})
}

func TestAPartThatDoesNotStopDoesNotKeepTheOthersFromIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := &recorder{}
		s := app.NewSequence(nil, r.part("first", nil), app.Part{Name: "stuck", Stop: func(context.Context) error {
			<-release
			return nil
		}})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := s.Stop(ctx)
		if err == nil || !strings.Contains(err.Error(), "cannot stop stuck") || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		synctest.Wait()
		if !slices.Contains(r.happened, "stop first") {
			t.Error("the other part was not stopped")
		}
		close(release)
	})
}

func TestTheFirstErrorOfAGroupStopsAllAndIsTheOneReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := app.NewGroup(t.Context(), nil)
		for range 3 {
			g.Go("worker", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}
		g.Go("short", func(context.Context) error { return nil })
		g.Go("second", func(ctx context.Context) error { <-ctx.Done(); return errors.New("late") })
		synctest.Wait()
		if got := g.Running(); !slices.Equal(got, []string{"second", "worker"}) {
			t.Errorf("running: %q", got)
		}
		g.Go("first", func(context.Context) error { return errors.New("broken") })
		<-g.Done()
		err := g.Stop(t.Context())
		if err == nil || err.Error() != "first: broken" {
			t.Errorf("got %v", err)
		}
		if g.Go("after", func(context.Context) error { t.Error("ran after the stop"); return nil }) {
			t.Error("a stopped group takes goroutines")
		}
	})
}

func TestAPanicStopsTheGroupAndTellsWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := app.NewGroup(t.Context(), nil)
		g.Go("innocent", func(ctx context.Context) error { <-ctx.Done(); return nil })
		g.Go("guilty", func(context.Context) error { panic("boom") })
		<-g.Done()
		err := g.Stop(t.Context())
		if err == nil || !strings.Contains(err.Error(), "guilty: panic: boom") || !strings.Contains(err.Error(), "app_test.go") {
			t.Errorf("got %v", err)
		}
	})
}

func TestStoppingAGroupIsBoundedAndNamesWhatStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := app.NewGroup(t.Context(), nil)
		g.Go("stuck", func(context.Context) error { <-release; return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Stop(ctx); err == nil || !strings.Contains(err.Error(), "cannot stop stuck") {
			t.Errorf("got %v", err)
		}
		close(release)
		if err := g.Stop(t.Context()); err != nil {
			t.Errorf("the second stop: %v", err)
		}
	})
}

func TestAnEmptyGroupStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := app.NewGroup(t.Context(), nil).Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type config struct {
	Address string `help:"Where." default:"${address}"`
	Count   int    `help:"How many." default:"3"`
}

func (c config) Validate() error {
	if c.Count < 0 {
		return errors.New("cannot use --count: it is negative")
	}
	return nil
}

// service is what Run is given.
type service struct {
	start, stop func(context.Context) error
	done        chan struct{}
	err         error
}

func (s *service) Start(ctx context.Context) error {
	if s.start == nil {
		return nil
	}
	return s.start(ctx)
}

func (s *service) Stop(ctx context.Context) error {
	if s.stop == nil {
		return nil
	}
	return s.stop(ctx)
}
func (s *service) Done() <-chan struct{} { return s.done }
func (s *service) Err() error            { return s.err }

func program() app.Program {
	return app.Program{
		Name: "svc-test", Summary: "A test.", Version: "1.2.3", EnvPrefix: "VOW_TEST",
		Vars: map[string]string{"address": "127.0.0.1:7009"},
	}
}

// run runs a program whose service is s; it returns the exit code, the output and the configuration it was built with.
func run(t *testing.T, s *service, signals chan os.Signal, args ...string) (code int, output string, cfg config) {
	t.Helper()
	var out bytes.Buffer
	code = app.Run(program(), args, &out, &out, signals, func(_ context.Context, c config) (app.Service, error) {
		cfg = c
		return s, nil
	})
	return code, out.String(), cfg
}

func TestFlagsWinOverTheEnvironmentWhichWinsOverDefaults(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	s := &service{done: ended}
	if _, _, cfg := run(t, s, nil); cfg != (config{"127.0.0.1:7009", 3}) {
		t.Errorf("defaults: %+v", cfg)
	}
	t.Setenv("VOW_TEST_COUNT", "5")
	t.Setenv("VOW_TEST_ADDRESS", "127.0.0.1:1")
	if _, _, cfg := run(t, s, nil); cfg != (config{"127.0.0.1:1", 5}) {
		t.Errorf("environment: %+v", cfg)
	}
	if _, _, cfg := run(t, s, nil, "--count=7"); cfg != (config{"127.0.0.1:1", 7}) {
		t.Errorf("flags: %+v", cfg)
	}
}

func TestTheCommandLineIsAnsweredWithoutAService(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--version"}, app.ExitOK, "1.2.3"},
		{[]string{"--help"}, app.ExitOK, "VOW_TEST_COUNT"},
		{[]string{"--count=-1"}, app.ExitUsage, "cannot use --count"},
		{[]string{"--count=x"}, app.ExitUsage, "--count"},
		{[]string{"--nonsense"}, app.ExitUsage, "--nonsense"},
	} {
		s := &service{start: func(context.Context) error { t.Errorf("%q started the service", c.args); return nil }}
		code, output, _ := run(t, s, nil, c.args...)
		if code != c.code || !strings.Contains(output, c.says) {
			t.Errorf("%q: code %d, want %d; said %q", c.args, code, c.code, output)
		}
	}
}

func TestASignalStopsTheServiceAndASecondOneDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		signals := make(chan os.Signal, 2)
		signals <- syscall.SIGTERM
		code, output, _ := run(t, &service{stop: func(context.Context) error { stopped = true; return nil }}, signals)
		if code != app.ExitOK || !stopped {
			t.Errorf("code %d, stopped %v: %s", code, stopped, output)
		}

		release := make(chan struct{})
		go func() {
			signals <- syscall.SIGTERM
			<-time.After(time.Second)
			signals <- os.Interrupt
		}()
		start := time.Now()
		code, _, _ = run(t, &service{stop: func(context.Context) error { <-release; return nil }}, signals)
		if code != app.ExitForced || time.Since(start) != time.Second {
			t.Errorf("code %d after %v", code, time.Since(start))
		}
		close(release)
	})
}

func TestAServiceThatFailsEndsTheProcessWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		close(ended)
		stops := 0
		stop := func(context.Context) error { stops++; return errors.New("second") }
		code, output, _ := run(t, &service{done: ended, err: errors.New("the first reason"), stop: stop}, nil)
		if code != app.ExitFailed || !strings.Contains(output, "svc-test: the first reason") || stops != 1 {
			t.Errorf("code %d, %d stops, said %q", code, stops, output)
		}
		code, output, _ = run(t, &service{start: func(context.Context) error { return errors.New("cannot start: no") }, stop: stop}, nil)
		if code != app.ExitFailed || !strings.Contains(output, "cannot start: no") || stops != 2 {
			t.Errorf("code %d, %d stops, said %q", code, stops, output)
		}
	})
}

func TestASignalDuringAStartThatWaitsIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		signals <- os.Interrupt
		code, output, _ := run(t, &service{start: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}, signals)
		if code != app.ExitOK {
			t.Errorf("code %d: %s", code, output)
		}
	})
}

func TestASequenceEndsWithWhatItWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := app.NewGroup(t.Context(), nil)
		s := app.NewSequence(nil, app.Part{Name: "group", Stop: g.Stop})
		s.Watch(g)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Go("worker", func(context.Context) error { return errors.New("broken") })
		<-s.Done()
		if err := s.Err(); err == nil || err.Error() != "worker: broken" {
			t.Errorf("got %v", err)
		}
		_ = s.Stop(t.Context())
	})
}
