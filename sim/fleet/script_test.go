package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/golden"
	"github.com/vow-os/vow/sim/fleet"
)

// telling is one story as it is told.
type telling struct {
	*fleet.Fleet
	t        *testing.T
	archive  *archive
	since    time.Time
	counted  map[string]fleet.Point
	answer   string // to the last call that may be refused
	problems bool   // the story makes services log errors
	orphans  bool   // the story kills processes that had begun spans
}

// command is one sentence of a script: its words after the first.
type command func(ctx context.Context, s *telling, args []string) error

// tell plays a script in a bubble, and returns the archive with what it said.
func tell(t *testing.T, path string, check func(*telling)) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		a := parseArchive(string(content))
		s := &telling{t: t, archive: a, since: time.Now()}
		ctx := t.Context()
		s.Fleet, err = fleet.New(ctx, fleet.Settings{Latency: 2 * time.Millisecond, Work: 30 * time.Millisecond, Spans: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			check(s) // before Stop: processes that ended have no gauges
			if err := s.Stop(ctx); err != nil {
				t.Errorf("the fleet does not stop: %v", err)
			}
		}()
		for number, line := range strings.Split(a.script, "\n") {
			words := strings.Fields(line)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			if err := s.do(ctx, words); err != nil {
				state, _ := s.State(ctx)
				t.Fatalf("%s:%d: %s: %v\nthe state is\n%s", path, number+1, line, err, state)
			}
		}
		for _, p := range s.Recorder.Problems() {
			if !s.problems {
				t.Errorf("a service logged an error: %s", p)
			}
		}
		if orphans := s.Orphans(); len(orphans) > 0 && !s.orphans {
			t.Errorf("there are spans whose parent nobody exported:\n%s", strings.Join(orphans, "\n"))
		}
	})
}

func (s *telling) do(ctx context.Context, words []string) error {
	c, ok := commands[words[0]]
	if !ok {
		return fmt.Errorf("cannot understand %q", words[0])
	}
	return c(ctx, s, words[1:])
}

// expect compares what is said with the file of the archive of that name, or writes it there.
func (s *telling) expect(name, got string) error {
	want, found := s.archive.file(name)
	switch {
	case golden.Updating():
		s.archive.set(name, got)
		return nil
	case !found:
		return fmt.Errorf("cannot find the file %q in the archive; it should say\n%s", name, got)
	case !same(want, got):
		return fmt.Errorf("it is\n%s\nand should be\n%s\n%s", got, want, difference(want, got))
	}
	return nil
}

// difference lists the lines that only one of two texts has.
func difference(want, got string) string {
	count := map[string]int{}
	for _, line := range strings.Split(want, "\n") {
		count[line]--
	}
	for _, line := range strings.Split(got, "\n") {
		count[line]++
	}
	var text strings.Builder
	for _, line := range strings.Split(want, "\n") {
		if count[line] < 0 {
			fmt.Fprintf(&text, "missing: %s\n", line)
		}
	}
	for _, line := range strings.Split(got, "\n") {
		if count[line] > 0 {
			fmt.Fprintf(&text, "new:     %s\n", line)
		}
	}
	return text.String()
}

// TestStories tells every story of testdata.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find stories: %v", err)
	}
	heard := newVocabulary()
	tellAll(t, files, func(s *telling) { heard.hear(s.t, s.Fleet) })
	t.Run("what they emit is what is declared", func(t *testing.T) { heard.compare(t) })
}

// tellAll tells stories, each as a test of its own, and writes them anew if that is asked for.
func tellAll(t *testing.T, files []string, check func(*telling)) {
	t.Helper()
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			tell(t, path, func(s *telling) {
				check(s)
				if golden.Updating() && !s.t.Failed() {
					if err := os.WriteFile(path, []byte(s.archive.String()), 0o644); err != nil {
						s.t.Error(err)
					}
				}
			})
		})
	}
}

// options are the words with "=" of a sentence, and the others.
func options(args []string) (plain []string, named map[string]string) {
	named = map[string]string{}
	for _, a := range args {
		if key, value, ok := strings.Cut(a, "="); ok {
			named[key] = value
			continue
		}
		plain = append(plain, a)
	}
	return plain, named
}

func number(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	return strconv.Atoi(text)
}

func duration(text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	return time.ParseDuration(text)
}

var errUsage = errors.New("cannot understand the rest of it")
