package agenda_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/golden"
	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// start is the virtual time at which scripts begin.
var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// TestScripts plays each script of testdata and compares what the agenda answers with its transcript.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(content), "-- transcript --\n")
			_, script, found := strings.Cut(head, "-- script --\n")
			if !found {
				t.Fatalf("cannot find the script in %s", file)
			}
			golden.Compare(t, file, head+"-- transcript --\n"+play(t, script))
		})
	}
}

// play runs a script: one event a line, "+2s" lets time pass, "show" prints the agenda.
func play(t *testing.T, script string) string {
	t.Helper()
	a := agenda.New("c1")
	now := start
	runs := 0
	names := map[string]string{} // run id -> r1, r2, …: transcripts do not depend on the hash
	name := func(id string) string {
		if names[id] == "" {
			runs++
			names[id] = fmt.Sprintf("r%d", runs)
		}
		return names[id]
	}
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fmt.Fprintf(&out, "> %s\n", line)
		words := strings.Fields(line)
		args := map[string]string{}
		for _, w := range words[1:] {
			k, v, _ := strings.Cut(w, "=")
			args[k] = v
		}
		if words[0] == "show" {
			show(&out, a, now)
			continue
		}
		var events []agenda.Event
		if strings.HasPrefix(words[0], "+") {
			d, err := time.ParseDuration(words[0][1:])
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			events = []agenda.Event{agenda.Due{}}
		} else {
			events = scripted(t, a, words[0], args, now, names)
		}
		answer(&out, a.Apply(now, events...), now, name)
		if err := a.Check(); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
	return out.String()
}

// scripted makes the events of a line.
func scripted(t *testing.T, a *agenda.Agenda, word string, args map[string]string, now time.Time, names map[string]string) []agenda.Event {
	t.Helper()
	number := func(key string) uint64 {
		n, _ := strconv.ParseUint(args[key], 10, 64)
		return n
	}
	duration := func(key string) time.Duration {
		d, _ := time.ParseDuration(args[key])
		return d
	}
	id := func(label string) string {
		for id, l := range names {
			if l == label {
				return id
			}
		}
		if label != "" {
			names[label] = label
		}
		return label
	}
	gen := func(key string) agenda.Generation { return agenda.Generation{Epoch: 1, Number: number(key)} }
	of := func(p string) string { return "t1.a" + strings.TrimPrefix(p, "p") }
	partitions := strings.Split(args["p"], ",")
	switch word {
	case "open":
		var running []string
		for _, r := range strings.Split(args["running"], ",") {
			running = append(running, id(r))
		}
		return []agenda.Event{agenda.StreamOpened{Session: number("session"), Slots: int(number("slots")), BootID: args["boot"], Running: running}}
	case "close":
		return []agenda.Event{agenda.StreamClosed{Session: number("session")}}
	case "allocated":
		ev := agenda.Allocations{Scope: agenda.OfComputer, Asked: now}
		if args["scope"] == "some" {
			ev.Scope = agenda.Some
		}
		for _, p := range partitions {
			if p == "" {
				continue
			}
			l := agenda.Allocation{
				AllocationID: of(p), InstanceID: "t1.i" + p[1:], TreeID: "t1", Partition: p, Period: time.Hour, Wanted: gen("wanted"), Settled: gen("settled"),
				WantedCause: agenda.Changed, Changed: gen("changed"),
			}
			if args["tree"] != "" {
				l.TreeID = args["tree"]
			}
			if args["paused"] != "" {
				l.Pause = agenda.Paused{Generation: gen("paused"), At: now, Reason: args["reason"], By: args["by"]}
				if args["for"] != "" {
					l.Pause.Until = now.Add(duration("for"))
				}
			}
			if args["latest"] != "" {
				l.Latest = agenda.RunEnded{RunID: id(args["latest"]), Success: args["result"] == "success", Result: args["result"], At: now, Attempt: 1}
			}
			ev.List = append(ev.List, l)
		}
		return []agenda.Event{ev}
	case "bang":
		var events []agenda.Event
		for _, p := range partitions {
			n := number("n")
			events = append(events, agenda.Wanted{
				Partition: p, AllocationID: of(p), Generation: gen("gen"), Cause: agenda.FromBang, At: now, Delay: duration("delay"),
				Bang: agenda.Bang{ID: fmt.Sprintf("t1.b%d", n), Number: n, At: now, Targets: len(partitions)},
			})
		}
		return events
	case "changed":
		return []agenda.Event{agenda.Wanted{Partition: args["p"], AllocationID: of(args["p"]), Generation: gen("gen"), Cause: agenda.Changed, At: now, Delay: duration("delay")}}
	case "begun":
		return []agenda.Event{agenda.Begun{Partition: args["p"], AllocationID: of(args["p"]), RunSeen: agenda.RunSeen{RunID: id(args["run"]), Token: number("token"), Generation: gen("gen")}}}
	case "reported":
		return []agenda.Event{agenda.Reported{
			Partition: args["p"], AllocationID: of(args["p"]), Token: number("token"), Generation: gen("gen"),
			RunEnded: agenda.RunEnded{RunID: id(args["run"]), Success: args["result"] == "success", Result: args["result"], ErrorType: args["error"], At: now},
		}}
	case "run":
		return []agenda.Event{agenda.RunNow{Partition: args["p"], RequestID: args["request"]}}
	case "cancel":
		return []agenda.Event{agenda.Cancel{Partition: args["p"], RequestID: args["request"], Reason: args["reason"], By: args["by"]}}
	case "pause":
		return []agenda.Event{agenda.Pause{For: duration("for"), Reason: args["reason"], By: args["by"]}}
	case "resume":
		return []agenda.Event{agenda.Resume{By: args["by"]}}
	}
	t.Fatalf("cannot play %q on %s", word, a.Computer)
	return nil
}

// answer prints an outcome.
func answer(out *strings.Builder, o agenda.Outcome, now time.Time, name func(string) string) {
	for _, said := range o.Reasons {
		reason := said.String()
		for _, w := range strings.FieldsFunc(reason, func(r rune) bool { return strings.ContainsRune(" ():,", r) }) {
			if len(w) == 36 && strings.Count(w, "-") == 4 {
				reason = strings.ReplaceAll(reason, w, name(w))
			}
		}
		fmt.Fprintf(out, "  %s\n", reason)
	}
	if len(o.Stored) > 0 {
		fmt.Fprintf(out, "  store %s\n", strings.Join(o.Stored, ","))
	}
	if len(o.Removed) > 0 {
		fmt.Fprintf(out, "  remove %s\n", strings.Join(o.Removed, ","))
	}
	for _, order := range o.Orders {
		again := ""
		if order.Again {
			again = " again"
		}
		fmt.Fprintf(out, "  order%s %s run=%s cause=%s attempt=%d late=%s folds=%d parented=%v: %s\n",
			again, order.Partition, name(order.RunID), order.Cause, order.Attempt, now.Sub(order.Due), order.Folds, order.Parented, order.Reason)
	}
	if !o.Wake.IsZero() {
		fmt.Fprintf(out, "  wake in %s\n", o.Wake.Sub(now).Round(time.Millisecond))
	}
}

// show prints the agenda as `vow agenda` does.
func show(out *strings.Builder, a *agenda.Agenda, now time.Time) {
	for _, e := range a.Sorted() {
		fmt.Fprintf(out, "  %s %s: %s\n", e.Partition, e.State, a.Explain(e, now))
	}
}
