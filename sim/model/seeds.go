package model

import (
	"bytes"
	"fmt"
	"strings"
)

// TailLines is how much of a failing seed's transcript is told.
const TailLines = 60

// Broken is a broken rule with the end of the transcript.
type Broken struct {
	Summary Summary
	Err     error
	Tail    string
}

func (b *Broken) Error() string {
	return fmt.Sprintf("%v\n%s\nreplay: go test ./sim/model -run 'TestSeeds$' -seed=%d -seeds=1 -v", b.Err, b.Tail, b.Summary.Seed)
}

func (b *Broken) Unwrap() error { return b.Err }

// RunOrReplay runs a world, and if a rule breaks runs it again with a transcript, of which the tail is returned in a *Broken.
func RunOrReplay(cfg Config) (Summary, error) {
	summary, err := Run(cfg)
	if err == nil {
		return summary, nil
	}
	ring := &tail{}
	cfg.Transcript = ring
	summary, again := Run(cfg)
	if again == nil || again.Error() != err.Error() {
		return summary, fmt.Errorf("the replay ended otherwise (%w) than the run: %w", again, err)
	}
	return summary, &Broken{Summary: summary, Err: err, Tail: ring.String()}
}

// tail is a writer that keeps the last lines.
type tail struct {
	lines []string
	next  int
}

// Write keeps one line.
func (t *tail) Write(line []byte) (int, error) {
	text := string(bytes.TrimRight(line, "\n"))
	if len(t.lines) < TailLines {
		t.lines = append(t.lines, text)
	} else {
		t.lines[t.next] = text
		t.next = (t.next + 1) % TailLines
	}
	return len(line), nil
}

func (t *tail) String() string {
	return strings.Join(append(append([]string{}, t.lines[t.next:]...), t.lines[:t.next]...), "\n")
}
