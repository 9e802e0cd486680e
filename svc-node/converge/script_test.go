package converge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/golden"
	"github.com/vow-os/vow/svc-node/converge"
)

// Each script of testdata is a story: lines that start with > are events, the lines beneath are what the core says and
// does. A line "at 1m" moves the clock to one minute after the start.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, path, play(t, string(content)))
		})
	}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// play carries a script out and returns it with what the core answered.
func play(t *testing.T, script string) string {
	t.Helper()
	now := epoch
	node := converge.NewNode("c1", "boot-1", 2, 0, now)
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#") || line == "":
			fmt.Fprintln(&out, line)
		case strings.HasPrefix(line, "at "):
			d, err := time.ParseDuration(line[3:])
			if err != nil {
				t.Fatal(err)
			}
			now = epoch.Add(d)
			fmt.Fprintln(&out, line)
		case strings.HasPrefix(line, "> "):
			var effects []converge.Effect
			var reason string
			node, effects, reason = node.Step(event(t, line[2:]), now)
			fmt.Fprintln(&out, line)
			fmt.Fprintln(&out, "  "+reason)
			for _, e := range effects {
				fmt.Fprintln(&out, "  "+describe(e))
			}
			if at, ok := node.Due(); ok {
				fmt.Fprintln(&out, "  next by itself at "+at.Sub(epoch).Round(time.Millisecond).String())
			}
		}
	}
	return out.String()
}

func event(t *testing.T, line string) converge.Event {
	t.Helper()
	f := strings.Fields(line)
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return n
	}
	desired := func() converge.Desired {
		e, n, _ := strings.Cut(f[3], ":")
		requested := map[string]converge.Requested{"started": converge.Started, "stopped": converge.Stopped, "destroyed": converge.Destroyed}
		period := time.Hour
		if len(f) > 5 {
			var err error
			if period, err = time.ParseDuration(f[5]); err != nil {
				t.Fatal(err)
			}
		}
		item := converge.Desired{
			Partition: f[1], AllocationID: f[2], Generation: converge.Generation{Epoch: number(e), Number: number(n)},
			Requested: requested[f[4]], Period: period,
		}
		if len(f) > 7 { // paused by its generation, until a time
			until, err := time.ParseDuration(f[7])
			if err != nil {
				t.Fatal(err)
			}
			item.Pause.Generation = converge.Generation{Epoch: 1, Number: number(f[6])}
			if until > 0 {
				item.Pause.Until = epoch.Add(until)
			}
		}
		return item
	}
	switch f[0] {
	case "start":
		return converge.Start{Rebooted: len(f) > 1}
	case "want":
		return converge.Wanted{Items: []converge.Desired{desired()}}
	case "learn":
		return converge.Learned{Item: desired()}
	case "free":
		return converge.Wanted{Freed: f[1:]}
	case "order":
		causes := map[string]converge.Cause{
			"manual": converge.Manual, "bang": converge.Bang, "changed": converge.Changed, "retry": converge.Retry, "periodicity": converge.Periodicity,
		}
		return converge.Ordered{Order: converge.Order{Partition: f[1], AllocationID: f[2], RunID: f[3], Cause: causes[f[4]], Attempt: 1}}
	case "end":
		e := converge.Ended{Partition: f[1], RunID: f[2]}
		if len(f) > 4 {
			e.Token = number(f[4])
		}
		switch f[3] {
		case "refused":
			e.Outcome = converge.Refused
		case "unbegun":
			e.Outcome = converge.Unbegun
		case "locked":
			e.Outcome = converge.Locked
		case "success":
			e.Outcome, e.Result = converge.Done, converge.Success
		default:
			e.Outcome, e.Result, e.ErrorType = converge.Done, converge.Failure, f[3]
		}
		return e
	case "up", "lost":
		return converge.LinkChanged{Link: map[string]converge.Link{"orders": converge.Orders, "master": converge.Master}[f[1]], Up: f[0] == "up"}
	case "wake":
		return converge.Woken{Partition: strings.Join(f[1:], "")}
	case "tick":
		return converge.Tick{}
	}
	t.Fatalf("cannot read event %q", line)
	return nil
}

func describe(e converge.Effect) string {
	switch e := e.(type) {
	case converge.StartRun:
		s := fmt.Sprintf("start run %s of %s (%s, attempt %d)", e.Run.RunID, e.Run.Partition, e.Run.Cause, e.Run.Attempt)
		if e.Run.Local {
			s += fmt.Sprintf(" local, last token %d", e.Run.LastToken)
		}
		return s
	case converge.Store:
		return fmt.Sprintf("store %s: %s at %d:%d, %s, latest %s", e.Partition.Name, e.Partition.Desired.AllocationID,
			e.Partition.Desired.Generation.Epoch, e.Partition.Desired.Generation.Number, e.Partition.Desired.Requested, e.Partition.Latest)
	case converge.Forget:
		return "forget " + e.Partition + ": " + e.AllocationID
	case converge.Count:
		return fmt.Sprintf("count %d", e.Sequence)
	}
	return fmt.Sprintf("%T", e)
}
