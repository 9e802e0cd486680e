package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/golden"
)

// start of every script: a Thursday, so that the day of the quota has 14 hours left.
var noon = time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)

// TestScripts plays testdata/*.txt. The first line of a script is the sentence that it shows; a line that begins with "$ " is a command (script.do), the lines
// after it are what came of it. After every command the invariants are checked, also on a copy that went through a store; a command that fails must have
// changed nothing.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sentence, _, _ := strings.Cut(string(text), "\n")
		t.Run(strings.TrimPrefix(sentence, "# "), func(t *testing.T) {
			golden.Compare(t, file, play(t, string(text)))
		})
	}
}

func play(t *testing.T, text string) string {
	s := &script{tree: New("t0", "default", 1), now: noon, start: noon.Add(-time.Hour), runs: map[string]BeginRunAnswer{}}
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "$ "):
			before := stored(t, s.tree)
			fmt.Fprintln(&out, line)
			told, failed := s.do(strings.Fields(line[2:]))
			out.WriteString(told)
			if after := stored(t, s.tree); failed && !bytes.Equal(before, after) {
				t.Errorf("%s failed and changed the tree:\n%s\n%s", line, before, after)
			}
			if err := s.tree.Check(); err != nil {
				t.Errorf("after %s: %v", line, err)
			}
			if err := reload(t, s.tree).Check(); err != nil {
				t.Errorf("after %s and a reload: %v", line, err)
			}
		case strings.HasPrefix(line, "#") || line == "":
			fmt.Fprintln(&out, line)
		}
	}
	return out.String()
}

// stored is the tree as a store would hold it.
func stored(t testing.TB, tree *Tree) []byte {
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reload is the tree after it went through a store.
func reload(t testing.TB, tree *Tree) *Tree {
	var loaded Tree
	if err := json.Unmarshal(stored(t, tree), &loaded); err != nil {
		t.Fatal(err)
	}
	return &loaded
}

type script struct {
	tree       *Tree
	now, start time.Time
	runs       map[string]BeginRunAnswer
	run        int
	closed     *Convergence
}

// do carries out a command: words without "=" are positional, the others options.
func (s *script) do(words []string) (told string, failed bool) {
	command, at, options := words[0], []string{}, map[string]string{}
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			options[k] = v
		} else {
			at = append(at, w)
		}
	}
	arg := func(n int) string {
		if n < len(at) {
			return at[n]
		}
		return ""
	}
	d := func(name string) time.Duration { v, _ := time.ParseDuration(options[name]); return v }
	n := func(name string) uint64 { v, _ := strconv.ParseUint(options[name], 10, 64); return v }
	option := func(name string) string { v := options[name]; delete(options, name); return v }
	switch command {
	case "wait":
		v, err := time.ParseDuration(arg(0))
		if err != nil {
			return err.Error() + "\n", false
		}
		s.now = s.now.Add(v)
		return "", false
	case "show":
		return s.show(), false
	case "timeline":
		return s.timeline(), false
	case "restart":
		s.start = s.now
		return "", false
	case "request":
		e := Request{Title: arg(0), RequestID: option("id"), RequesterID: s.instance(option("by")), Release: option("release"), Type: option("type"), Computer: option("computer"), State: states[option("state")]}
		e.Shared, e.Sla.Host = option("shared") == "yes", option("host")
		if run := option("run"); run != "" {
			e.RequesterAllocationID, e.RequesterToken = s.allocation(s.title(e.RequesterID)), s.runs[run].Token
		}
		if e.Release == "" {
			e.Release = "r1"
		}
		e.Parameters = options
		return s.step(e)
	case "state":
		return s.step(SetState{InstanceID: s.instance(arg(0)), State: states[arg(1)]})
	case "rename":
		return s.step(Rename{InstanceID: s.instance(arg(0)), Title: arg(1)})
	case "allocate":
		computer, partition, _ := strings.Cut(arg(1), "/")
		return s.step(Allocate{InstanceID: s.instance(arg(0)), Computer: computer, Partition: partition, Addresses: s.addresses(option("address")), Options: s.options(options)})
	case "unallocated":
		return s.step(Unallocated{InstanceID: s.instance(arg(0)), Reason: strings.Join(at[1:], " ")})
	case "free":
		return s.step(Freed{AllocationID: s.allocation(arg(0)), Reason: strings.Join(at[1:], " ")})
	case "evict":
		return s.step(Evict{AllocationID: s.allocation(arg(0)), Reason: strings.Join(at[1:], " ")})
	case "release":
		return s.step(ReleaseReported{Computer: arg(0), Release: arg(1), Available: arg(2) == "available", Options: s.options(options)})
	case "registered":
		e := Registered{Computer: arg(0), Period: d("period"), Addresses: map[string][]string{}}
		delete(options, "period")
		for partition, address := range options {
			e.Addresses[partition] = []string{address}
		}
		return s.step(e)
	case "quota":
		limit := uint32(n("limit"))
		return s.step(SetQuota{Limit: &limit})
	case "pause":
		return s.step(PauseTree{For: d("for"), Reason: strings.Join(at, " "), By: options["by"]})
	case "resume":
		return s.step(ResumeTree{})
	case "bang":
		e := Bang{AllocationID: s.allocation(arg(0)), Source: arg(2), Message: "it broke", Up: d("up"), ExitSequence: n("exit"), LastSuccessRunID: options["last"], RunInProgress: options["in"], NotAllowed: options["allowed"] == "no"}
		e.Origin = map[string]Origin{"promise": OriginPromise, "process": OriginProcess, "manual": OriginManual}[arg(1)]
		return s.step(e)
	case "bang-tree":
		return s.step(Bang{Origin: OriginManual, Source: arg(0), RequestID: options["id"]})
	case "begin":
		return s.step(BeginRun{AllocationID: s.allocation(arg(0)), RunID: arg(1), Cause: CauseBang, Attempt: 1})
	case "report":
		return s.step(s.report(arg(0), arg(1), arg(2), options))
	case "run":
		s.run++
		id := "run" + strconv.Itoa(s.run)
		if told, failed := s.step(BeginRun{AllocationID: s.allocation(arg(0)), RunID: id, Cause: CauseBang, Attempt: 1}); failed {
			return told, failed
		}
		return s.step(s.report(arg(0), id, arg(1), options))
	case "local":
		e := s.report(arg(0), arg(1), arg(2), options)
		e.Local, e.Token = &LocalRun{BootID: options["boot"], Sequence: n("seq")}, n("token")
		return s.step(e)
	case "publish":
		token := s.runs[arg(1)].Token
		if shared := option("for"); shared != "" {
			return s.step(Publish{AllocationID: s.allocation(arg(0)), SharedID: s.instance(shared), Token: token, Parameters: options})
		}
		return s.step(Publish{AllocationID: s.allocation(arg(0)), Token: token, Parameters: options})
	case "host":
		return s.step(TakeHost{SharedID: s.instance(arg(0)), HostID: s.instance(arg(1))})
	case "tell": // as svc-master does between two trees
		var told strings.Builder
		for _, e := range []func() Event{
			func() Event { return s.wanted(s.instance(arg(0)), s.instance(arg(1))) }, func() Event { return s.said(s.instance(arg(0)), s.instance(arg(1))) },
		} {
			if event := e(); event != nil {
				text, failed := s.step(event)
				if told.WriteString(text); failed {
					return told.String(), failed
				}
			}
		}
		return told.String(), false
	case "lost":
		return s.step(HostLost{SharedID: s.instance(arg(0)), HostID: s.instance(arg(1)), Reason: strings.Join(at[2:], " ")})
	case "judge":
		return s.step(Judge{})
	case "abandon":
		return s.step(Abandon{Reason: strings.Join(at, " ")})
	case "tick":
		return s.step(Tick{})
	case "epoch":
		epoch, _ := strconv.ParseUint(arg(0), 10, 64)
		return s.step(EpochMoved{Epoch: epoch})
	}
	return "unknown command\n", false
}

func (s *script) wanted(shared, host string) Event {
	if e, wants := s.tree.Wants(Hosting{SharedID: shared, HostID: host}); wants {
		return e
	}
	return Unhost{SharedID: shared, HostID: host}
}

func (s *script) said(shared, host string) Event {
	said, is := s.tree.SaidOf(shared)
	if !is {
		return nil
	}
	return HostSaid{SharedID: shared, HostID: host, Word: said.Word, Connection: said.Connection, Delay: said.Delay}
}

// addresses are known where a script names one.
func (s *script) addresses(address string) []string {
	if address == "" {
		return nil
	}
	return []string{address}
}

var states = map[string]State{"started": Started, "stopped": Stopped, "destroyed": Destroyed}

func (s *script) report(title, run, result string, options map[string]string) ReportRun {
	e := ReportRun{AllocationID: s.allocation(title), RunID: run, Token: s.runs[run].Token, Error: options["error"], ErrorType: options["type"], Changed: options["changed"] == "yes"}
	if problem := options["problem"]; problem != "" {
		e.Problems = []string{problem}
	}
	e.Result = map[string]Result{"success": Success, "failure": Failure, "timeout": Timeout}[result]
	if token, ok := options["token"]; ok {
		e.Token, _ = strconv.ParseUint(token, 10, 64)
	}
	if names, ok := options["requested"]; ok {
		e.Requested = &Requested{}
		for _, title := range strings.Split(names, ",") {
			e.Requested.InstanceIDs = append(e.Requested.InstanceIDs, s.instance(title))
		}
	}
	if name := options["passed"]; name != "" {
		e.Verdicts = append(e.Verdicts, Verdict{Promise: name})
	}
	if name := options["anomaly"]; name != "" {
		e.Verdicts = append(e.Verdicts, Verdict{Promise: name, Anomaly: true})
	}
	return e
}

func (s *script) options(options map[string]string) Options {
	var o Options
	if options["policy"] == "ancestors" {
		o.Policy = PolicyAncestors
	}
	o.Period, _ = time.ParseDuration(options["period"])
	if q, err := strconv.ParseUint(options["quota"], 10, 32); err == nil {
		quota := uint32(q)
		o.Quota = &quota
	}
	return o
}

func (s *script) instance(title string) string {
	for id, i := range s.tree.Instances {
		if i.Title == title && !i.Remnant() {
			return id
		}
	}
	return title
}

func (s *script) title(id string) string {
	if i := s.tree.Instances[id]; i != nil {
		return i.Title
	}
	return id
}

func (s *script) allocation(title string) string {
	if p := s.tree.Partitions[s.instance(title)]; p != nil {
		return p.AllocationID
	}
	return title
}

func (s *script) step(e Event) (told string, failed bool) {
	a, fx, err := s.tree.Step(e, s.now)
	if err != nil {
		told = fmt.Sprintf("  %s: %v\n", KindOf(err), err)
		return told, true
	}
	var b strings.Builder
	switch a := a.(type) {
	case BangAnswer:
		fmt.Fprintf(&b, "  %s %s %s", a.Outcome, a.BangID, a.Generation)
		if a.ConvergenceID != "" {
			fmt.Fprintf(&b, " of %s", a.ConvergenceID)
		}
		if a.Reason != "" {
			fmt.Fprintf(&b, " (%s)", a.Reason)
		}
		fmt.Fprintln(&b)
		if err := a.Err(); err != nil {
			fmt.Fprintf(&b, "  %s: %v\n", KindOf(err), err)
		}
	case BeginRunAnswer:
		s.runs[e.(BeginRun).RunID] = a
		fmt.Fprintf(&b, "  token %d, wanted %s, %s\n", a.Token, a.Wanted, a.State)
	case ReportRunAnswer:
		fmt.Fprintf(&b, "  settled %s, closed %q, wanted more %t\n", a.Settled, a.ClosedConvergenceID, a.WantedMore)
	case RequestAnswer:
		fmt.Fprintf(&b, "  %s created %t, changed %t, ready %t %s\n", a.InstanceID, a.Created, a.Changed, a.Ready, a.Reason)
	case EvictAnswer:
		fmt.Fprintf(&b, "  %s left by %s in %s\n", a.RemnantID, e.(Evict).AllocationID, a.AllocationID)
	case AllocateAnswer:
		fmt.Fprintf(&b, "  %s\n", a.AllocationID)
	case HostAnswer, SharedAnswer, UnhostAnswer:
		fmt.Fprintf(&b, "  %T changed %t\n", e, !fx.None())
	default:
		fmt.Fprintf(&b, "  %+v\n", a)
	}
	for _, f := range fx.Feed {
		fmt.Fprintf(&b, "  feed %s %s", f.Kind, f.Generation)
		for _, id := range f.InstanceIDs {
			fmt.Fprintf(&b, " %s", s.title(id))
		}
		if f.Bang != nil && len(f.Bang.InstanceIDs) > 0 {
			for _, id := range f.Bang.InstanceIDs {
				fmt.Fprintf(&b, " %s", s.title(id))
			}
		}
		if f.Delay > 0 || f.Bang != nil && f.Bang.Delay > 0 {
			b.WriteString(" delayed")
		}
		fmt.Fprintln(&b)
	}
	for _, g := range fx.Satisfied {
		fmt.Fprintf(&b, "  satisfied %d up to %s\n", g.Count, g.Generation)
	}
	if c := fx.Closed; c != nil {
		s.closed = c
		fmt.Fprintf(&b, "  %s %s %s after %s\n", c.ID, c.State, c.Reason, c.Duration(s.now))
	}
	for _, id := range fx.Place {
		fmt.Fprintf(&b, "  wants a place: %s\n", s.title(id))
	}
	for _, h := range fx.Hosting {
		fmt.Fprintf(&b, "  to be told: %s, %s\n", s.title(h.SharedID), s.title(h.HostID))
	}
	for _, p := range fx.Rebound {
		fmt.Fprintf(&b, "  rebound %s/%s from %s to %s\n", p.Computer, p.Partition, p.From, p.InstanceID)
	}
	for _, p := range fx.Freed {
		fmt.Fprintf(&b, "  freed %s/%s\n", p.Computer, p.Partition)
	}
	switch fx.Settlement {
	case BecameUnsettled:
		b.WriteString("  the tree is unsettled\n")
	case BecameSettled:
		b.WriteString("  the tree is settled\n")
	case SettlementKept:
	}
	if fx.Gone {
		b.WriteString("  the tree is gone\n")
	}
	return b.String(), false
}

func (s *script) show() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  tree %s\n", colour(s.tree.TreeColour(s.now, s.start), s.now))
	for _, i := range s.tree.Sorted() {
		fmt.Fprintf(&b, "  %s %s", i.Title, s.tree.Desired(i))
		if p := s.tree.Partitions[i.ID]; p != nil {
			fmt.Fprintf(&b, " on %s/%s: %s, wanted %s (%s), settled %s", p.Computer, p.Name, colour(s.tree.PartitionColour(i.ID, s.now, s.start), s.now), s.tree.Wanted(p), s.tree.WantedCause(p), p.Settled)
		}
		if i.Shared {
			_, reason := s.tree.Ready(i)
			fmt.Fprintf(&b, " shared, by %q: %s; %s", s.title(i.Host), colour(s.tree.PartitionColour(i.ID, s.now, s.start), s.now), reason)
		}
		for _, h := range s.tree.HostedBy(i.ID) {
			fmt.Fprintf(&b, ", hosts %s %v", h.Title, h.Parameters)
		}
		fmt.Fprintln(&b)
	}
	for _, c := range s.tree.Conditions(s.now) {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	if c := s.tree.Convergence; c != nil {
		fmt.Fprintf(&b, "  %s open for %s, joined %d\n", c.ID, c.Duration(s.now), c.Joined)
		members, others := s.tree.Members(map[string]time.Time{"laptop": s.now}, s.now, s.start)
		for _, m := range members {
			fmt.Fprintf(&b, "    %s: settled %t, runs %d %s\n", m.Title, m.Settled, m.Runs, m.Blocker)
		}
		for _, o := range others {
			fmt.Fprintf(&b, "    not waited for: %s\n", o)
		}
	}
	return b.String()
}

func (s *script) timeline() string {
	var b strings.Builder
	c := s.tree.Convergence
	if c == nil {
		c = s.closed
	}
	for _, e := range c.Moments() {
		fmt.Fprintf(&b, "  +%s %s %s\n", e.At.Sub(c.OpenedAt), e.Moment, strings.Join(strings.Fields(s.title(e.InstanceID)+" "+e.Name+" "+e.RunID), " "))
	}
	return b.String()
}

func colour(s Status, now time.Time) string {
	text := s.Colour.String()
	if s.Unconfirmed {
		text += " unconfirmed"
	}
	if s.Reason != "" {
		text += fmt.Sprintf(" (%s)", s.Reason)
	}
	if !s.Since.IsZero() {
		text += " for " + now.Sub(s.Since).String()
	}
	return text
}
