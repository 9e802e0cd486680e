package supervise_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/golden"
	"github.com/vow-os/vow/svc-node/supervise"
)

// TestTranscript replays testdata/life.txt: each line that begins with ">" is an event, the lines below it are what the
// core answered. `go test -update` writes the answers anew; read the difference.
func TestTranscript(t *testing.T) {
	const path = "testdata/life.txt"
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := story{now: start, start: start, out: &got}
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "#") || line == "":
			fmt.Fprintln(&got, line)
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&got, line)
			if err := s.play(strings.Fields(line[2:])); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
	}
	golden.Compare(t, path, got.String())
}

type story struct {
	set        supervise.Set
	now, start time.Time
	out        *strings.Builder
}

// play takes one event: its name, its key, its arguments.
func (s *story) play(words []string) error {
	if words[0] == "after" {
		d, err := time.ParseDuration(words[1])
		s.now = s.now.Add(d)
		s.step(supervise.Tick{})
		return err
	}
	key := supervise.Key{Partition: "p"}
	if len(words) > 1 {
		key.Name = words[1]
	}
	unit, _ := s.set.Unit(key)
	switch n := unit.Incarnation; words[0] {
	case "apply": // name:kind:revision or name:kind:revision:rank each
		var processes []supervise.Process
		for _, word := range words[1:] {
			parts := strings.Split(word, ":")
			p := supervise.Process{
				Key: supervise.Key{Partition: "p", Name: parts[0]}, Kind: supervise.Service, Watched: true, Path: "/x", Dir: "/",
				Revision: parts[2],
			}
			if parts[1] == "run" {
				p.Kind, p.Watched = supervise.Run, false
			}
			if len(parts) == 4 {
				if _, err := fmt.Sscan(parts[3], &p.Rank); err != nil {
					return err
				}
			}
			processes = append(processes, p)
		}
		s.step(supervise.Apply{Partition: "p", Processes: processes})
	case "spawned":
		s.step(supervise.Spawned{Key: key, Incarnation: n, PID: 100 + int(n), Identity: "boot/1"})
	case "started":
		s.step(supervise.Started{Key: key, Incarnation: n})
	case "failed":
		s.step(supervise.StartFailed{Key: key, Incarnation: n, Reason: strings.Join(words[2:], " ")})
	case "exit", "signal":
		var ending supervise.Ending
		number := &ending.Code
		if words[0] == "signal" {
			number = &ending.Signal
		}
		if _, err := fmt.Sscan(words[2], number); err != nil {
			return err
		}
		s.step(supervise.Exited{Key: key, Incarnation: n, Ending: ending})
	case "memory": // it needed more than the MiB
		ending := supervise.Ending{Signal: 9}
		if _, err := fmt.Sscan(words[2], &ending.Memory); err != nil {
			return err
		}
		ending.Memory <<= 20
		s.step(supervise.Exited{Key: key, Incarnation: n, Ending: ending})
	case "left": // it exits with 0 and leaves processes behind
		var ending supervise.Ending
		if _, err := fmt.Sscan(words[2], &ending.Left); err != nil {
			return err
		}
		s.step(supervise.Exited{Key: key, Incarnation: n, Ending: ending})
	case "late":
		s.step(supervise.Exited{Key: key, Incarnation: n - 1})
	case "start", "stop", "restart":
		s.step(supervise.Hand{Key: key, Do: supervise.Action(words[0])})
	case "crash", "reboot": // the names are of those that are found alive
		alive := map[supervise.Key]supervise.Alive{}
		for _, name := range words[1:] {
			k := supervise.Key{Partition: "p", Name: name}
			u, _ := s.set.Unit(k)
			alive[k] = supervise.Alive{PID: u.PID, Identity: u.Identity}
		}
		s.set = supervise.Restore(s.set.Units(), 1000)
		s.step(supervise.Resume{Rebooted: words[0] == "reboot", Alive: alive})
	case "shutdown":
		s.step(supervise.Shutdown{})
	default:
		return fmt.Errorf("cannot play %q", words[0])
	}
	return nil
}

func (s *story) step(event supervise.Event) {
	set, effects, reason := supervise.Step(s.set, event, s.now)
	s.set = set
	for _, effect := range effects {
		line := ""
		switch e := effect.(type) {
		case supervise.Record:
			line = fmt.Sprintf("record %s %s", e.Unit.Process.Name, e.Unit.State)
			if !e.Unit.Due.IsZero() {
				line += " until " + e.Unit.Due.Sub(s.start).String()
			}
		case supervise.Forget:
			line = "forget " + e.Name
		case supervise.Report:
			line = fmt.Sprintf("report %s: %s (watched %v)", e.Exit.Name, e.Exit.Reason, e.Exit.Watched)
		case supervise.Launch:
			line = fmt.Sprintf("launch %s %s as %d", e.Process.Name, e.Process.Revision, e.Incarnation)
		case supervise.Release:
			line = fmt.Sprintf("release %s, process %d", e.Name, e.PID)
		case supervise.Terminate:
			line = fmt.Sprintf("TERM %s, process %d", e.Name, e.PID)
		case supervise.Kill:
			line = fmt.Sprintf("KILL %s, process %d", e.Name, e.PID)
		case supervise.Finished:
			line = "finished"
		}
		fmt.Fprintf(s.out, "  %s\n", line)
	}
	if reason == "" {
		reason = "nothing to do"
	}
	fmt.Fprintf(s.out, "  %s: %s\n", s.now.Sub(s.start), reason)
}
