package fleet

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// move is one step of a random story: what happens, and three choices.
type move struct{ op, x, y, z byte }

// world plays moves on a tree and on a dumb model of it: a follower of the feed that keeps every change, bang and run and looks through all of them to
// find out what is wanted, settled, satisfied and muted.
type world struct {
	t    testing.TB
	tree *Tree
	now  time.Time
	// sequence makes ids.
	sequence int
	begun    []begun
	// wanted of instances, as the feed told it.
	wanted map[string]Generation
	// log of each allocation: bangs, begins and reports, in order.
	log map[string][]logged
	// settled of allocations.
	settled map[string]Generation
	// bangs of the open convergence.
	bangs []awaited
	// told counts the bangs of the open convergence that were told satisfied.
	told uint64
	// opened counts the convergences of the UTC day.
	opened map[int64]uint32
	last   Generation
}

type begun struct {
	allocation, run string
	token           uint64
	wanted          Generation
}

type logged struct {
	what    string // bang, delayed, begin, success, failure
	source  string
	generic bool
}

type awaited struct {
	generation Generation
	scope      []string // nil = whole tree
	satisfied  bool
}

func newWorld(t testing.TB) *world {
	return &world{
		t: t, tree: New("t0", "default", 1), now: noon, wanted: map[string]Generation{}, log: map[string][]logged{}, settled: map[string]Generation{}, opened: map[int64]uint32{},
	}
}

// play plays moves and checks after each.
func (w *world) play(moves []move) {
	for _, m := range moves {
		w.move(m)
		if err := w.tree.Check(); err != nil {
			w.t.Fatalf("after %v: %v", m, err)
		}
		w.compare(m)
	}
}

func (w *world) id(prefix string) string {
	w.sequence++
	return fmt.Sprintf("%s%d", prefix, w.sequence)
}

// instance picks an instance, now and then one that does not exist.
func (w *world) instance(x byte) string {
	all := w.tree.Sorted()
	if n := int(x) % (len(all) + 1); n < len(all) {
		return all[n].ID
	}
	return "t0.i999999999"
}

func (w *world) allocation(x byte) string {
	var all []string
	for _, i := range w.tree.Sorted() {
		if p := w.tree.Partitions[i.ID]; p != nil {
			all = append(all, p.AllocationID)
		}
	}
	if n := int(x) % (len(all) + 1); n < len(all) {
		return all[n]
	}
	return "t0.a999999999"
}

func (w *world) move(m move) {
	switch m.op % 16 {
	case 0, 1:
		e := Request{Title: fmt.Sprintf("n%d", m.y%5), Release: fmt.Sprintf("r%d", m.z%2), State: State(m.z % 3), Parameters: map[string]string{"v": fmt.Sprint(m.z % 4), "e": ""}}
		if len(w.tree.Instances) == 0 || m.x%16 == 0 {
			e.Title = "n0"
		} else {
			e.RequesterID = w.instance(m.x)
			if p := w.tree.Partitions[e.RequesterID]; p != nil && m.z%2 == 0 {
				e.RequesterLocalID = p.AllocationID
			}
		}
		w.step(e)
	case 2:
		state := State(1 + m.y%2)
		if m.z < 40 {
			state = Destroyed
		}
		w.step(SetState{InstanceID: w.instance(m.x), State: state})
	case 3:
		w.step(Allocate{InstanceID: w.instance(m.x), Computer: fmt.Sprintf("c%d", m.y%3), Partition: w.id("p"), Options: Options{Policy: Policy(m.z % 3)}})
	case 4, 5:
		e := BeginRun{AllocationID: w.allocation(m.x), RunID: w.id("run")}
		if m.y < 20 && len(w.begun) > 0 {
			e.RunID = w.begun[int(m.z)%len(w.begun)].run
		}
		w.begin(e)
	case 6, 7, 8:
		if len(w.begun) > 0 {
			w.report(w.begun[len(w.begun)-1-int(m.x)%min(len(w.begun), 4)], m)
		}
	case 9, 10:
		w.bang(Bang{
			AllocationID: w.allocation(m.x), Origin: Origin(1 + m.y%2), Source: fmt.Sprintf("s%d", m.y%3), ExitSequence: uint64(w.sequence), Up: time.Duration(m.z) * time.Second / 8, NotAllowed: m.z == 255,
		})
		w.sequence++
	case 11:
		w.bang(Bang{Origin: OriginManual, Source: "ann"})
	case 12:
		if n := len(w.begun); n > 0 {
			b := w.begun[n-1]
			w.step(Publish{AllocationID: b.allocation, Token: b.token, Parameters: map[string]string{"v": fmt.Sprint(m.x % 3)}})
		}
	case 13:
		waits := []time.Duration{time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour}
		w.now = w.now.Add(waits[int(m.x)%len(waits)])
	case 14:
		w.tree = reload(w.t, w.tree) // another replica goes on
	default:
		w.rare(m)
	}
}

func (w *world) rare(m move) {
	switch m.x % 15 {
	case 11:
		w.step(Request{RequesterID: w.instance(m.y), Title: fmt.Sprintf("s%d", m.z%3), Release: "r0", Shared: true, State: State(m.z % 3), Parameters: map[string]string{"v": fmt.Sprint(m.z % 4)}})
	case 12:
		w.step(TakeHost{SharedID: w.instance(m.y), HostID: w.instance(m.z)})
	case 13:
		w.tell(m)
	case 14:
		if n, shared := len(w.begun), w.instance(m.y); n > 0 {
			b := w.begun[n-1]
			w.step(Publish{AllocationID: b.allocation, Token: b.token, SharedID: shared, Parameters: map[string]string{"v": fmt.Sprint(m.z % 3)}})
		}
	case 9:
		w.step(PauseTree{For: time.Duration(m.y%3) * 10 * time.Minute, Reason: "maintenance"})
	case 10:
		w.step(ResumeTree{})
	case 0:
		w.step(Abandon{})
	case 1:
		w.step(Tick{})
	case 2:
		w.step(EpochMoved{Epoch: w.tree.Generation.Epoch + uint64(m.y%3) - 1})
	case 3:
		w.step(Freed{AllocationID: w.allocation(m.y), Reason: "lost"})
	case 8:
		w.step(Evict{AllocationID: w.allocation(m.y), Reason: "dead"})
	case 4:
		limit := uint32(m.y % 5)
		w.step(SetQuota{Limit: &limit})
	case 5:
		w.step(ReleaseReported{Computer: fmt.Sprintf("c%d", m.y%3), Release: fmt.Sprintf("r%d", m.z%2), Available: true, Options: Options{Policy: Policy(m.z % 3)}})
	case 6:
		allocation := w.allocation(m.y)
		e := ReportRun{AllocationID: allocation, RunID: w.id("local"), Result: Success + Result(m.z%2), Local: &LocalRun{BootID: fmt.Sprint(m.z % 3), Sequence: uint64(m.z)}}
		if _, p := w.tree.Allocated(allocation); p != nil {
			e.Token = p.Token
		}
		_, before := w.tree.Allocated(allocation)
		latest := ""
		if before != nil && before.Latest != nil {
			latest = before.Latest.RunID
		}
		if _, _, err := w.step(e); err == nil && before.Latest != nil && before.Latest.RunID != latest {
			w.log[allocation] = append(w.log[allocation], logged{what: []string{"success", "failure"}[e.Result-Success], generic: true})
		}
	default:
		w.step(Rename{InstanceID: w.instance(m.y), Title: fmt.Sprintf("n%d", m.z%8)})
	}
}

// tell brings the two sides of a shared instance together, or one of them only.
func (w *world) tell(m move) {
	id := w.instance(m.y)
	h := Hosting{SharedID: id}
	if i := w.tree.Instances[id]; i != nil {
		h.HostID = i.Host
	}
	if m.z%4 == 0 {
		w.step(Judge{})
	}
	if e, wants := w.tree.Wants(h); wants {
		if _, _, err := w.step(e); err != nil {
			w.step(HostLost{SharedID: id, HostID: h.HostID, Reason: err.Error()})
			return
		}
	} else {
		w.step(Unhost{SharedID: id, HostID: h.HostID})
	}
	if said, is := w.tree.SaidOf(id); is && m.z%3 > 0 {
		w.step(HostSaid{SharedID: id, HostID: h.HostID, Word: said.Word, Connection: said.Connection, Delay: said.Delay})
	}
}

func (w *world) begin(e BeginRun) {
	a, fx, err := w.step(e)
	if err != nil {
		return
	}
	answer := a.(BeginRunAnswer)
	if fx.None() {
		return // a repetition
	}
	w.begun = append(w.begun, begun{allocation: e.AllocationID, run: e.RunID, token: answer.Token, wanted: answer.Wanted})
	w.log[e.AllocationID] = append(w.log[e.AllocationID], logged{what: "begin"})
}

func (w *world) report(b begun, m move) {
	e := ReportRun{AllocationID: b.allocation, RunID: b.run, Token: b.token, Result: Success, Changed: m.z%2 == 0}
	if m.y%4 == 0 {
		e.Result = Failure
	}
	if m.y%8 == 1 {
		e.Requested = &Requested{InstanceIDs: []string{w.instance(m.x), w.instance(m.z)}}
	}
	if m.z%8 < 2 {
		e.Verdicts = []Verdict{{Promise: fmt.Sprintf("s%d", m.z%3)}}
	}
	a, fx, err := w.step(e)
	if err != nil || fx.None() {
		return
	}
	what := "failure"
	if e.Result == Success {
		what = "success"
		w.settled[b.allocation] = newer(w.settled[b.allocation], b.wanted)
		if got := a.(ReportRunAnswer).Settled; got != b.wanted {
			w.t.Fatalf("run %s was given %s and settled %s", b.run, b.wanted, got)
		}
	}
	w.log[b.allocation] = append(w.log[b.allocation], logged{what: what})
}

func (w *world) bang(e Bang) {
	muted := e.sensed() && !e.NotAllowed && w.muted(e)
	quota, opening := w.tree.QuotaLimit(), w.tree.Convergence == nil
	i, p := w.tree.Allocated(e.AllocationID)
	a, fx, err := w.step(e)
	if err != nil {
		return
	}
	answer := a.(BangAnswer)
	if muted != (answer.Outcome == Muted) {
		w.t.Fatalf("a bang of %s was %s, muted should be %t: %v", e.AllocationID, answer.Outcome, muted, w.log[e.AllocationID])
	}
	if answer.Outcome == Accepted && !opening || answer.Outcome == Joined && opening {
		w.t.Fatalf("a bang was %s with a convergence open: %t", answer.Outcome, !opening)
	}
	if !answer.Outcome.Wakes() {
		if !answer.Generation.IsZero() {
			w.t.Fatalf("a withheld bang made generation %s", answer.Generation)
		}
		return
	}
	if opening {
		d := day(w.now)
		w.opened[d]++
		if quota > 0 && w.opened[d] > quota && answer.Outcome == Accepted && w.tree.BangsToday(w.now) > quota {
			w.t.Fatalf("%d convergences opened with a quota of %d", w.opened[d], quota)
		}
	}
	if i != nil {
		what := "bang"
		if answer.Delay > 0 {
			what = "delayed"
		}
		w.log[p.AllocationID] = append(w.log[p.AllocationID], logged{what: what, source: fmt.Sprint(e.Origin, e.Source)})
	}
	if (answer.Delay > 0) != (answer.Outcome == Futile) {
		w.t.Fatalf("a %s bang waits %s", answer.Outcome, answer.Delay)
	}
	var scope []string
	for _, f := range fx.Feed {
		if f.Bang != nil {
			scope = f.Bang.InstanceIDs
		}
	}
	if fx.Closed == nil { // with nobody to wait for it was satisfied at once
		w.bangs = append(w.bangs, awaited{generation: answer.Generation, scope: scope})
	}
}

// muted looks through all that happened to an allocation.
func (w *world) muted(e Bang) bool {
	sent, own, latest, running := false, false, "", false
	for _, l := range w.log[e.AllocationID] {
		switch l.what {
		case "bang":
			sent = true
		case "delayed":
			own = own || l.source == fmt.Sprint(e.Origin, e.Source)
		case "begin":
			sent, own, running = false, false, true
		case "superseded":
			running = false
		default:
			latest = l.what
			if !l.generic {
				running = false
			}
		}
	}
	return sent || own || latest == "failure" && !running
}

// step makes an event happen, and follows the feed.
func (w *world) step(e Event) (Answer, Effects, error) {
	before := stored(w.t, w.tree)
	epoch := w.tree.Generation.Epoch
	a, fx, err := w.tree.Step(e, w.now)
	if (err != nil || fx.None()) && !bytes.Equal(before, stored(w.t, w.tree)) {
		w.t.Fatalf("%T %+v told no effects (%v), and changed the tree", e, e, err)
	}
	if w.tree.Generation.Less(w.last) {
		w.t.Fatalf("%T moved generation %s back to %s", e, w.last, w.tree.Generation)
	}
	w.last = w.tree.Generation
	if w.tree.Generation.Epoch != epoch {
		for allocation := range w.log {
			w.log[allocation] = append(w.log[allocation], logged{what: "superseded"})
		}
	}
	for _, f := range fx.Feed {
		switch {
		case f.Kind == FeedChanged:
			for _, id := range f.InstanceIDs {
				w.wanted[id] = newer(w.wanted[id], f.Generation)
			}
		case f.Kind == FeedBang && len(f.Bang.InstanceIDs) > 0:
			for _, id := range f.Bang.InstanceIDs {
				w.wanted[id] = newer(w.wanted[id], f.Generation)
			}
		case f.Kind == FeedBang:
			for id := range w.tree.Partitions {
				w.wanted[id] = newer(w.wanted[id], f.Generation)
			}
		}
	}
	w.evaluate()
	for _, g := range fx.Satisfied {
		w.told += g.Count
	}
	if c := fx.Closed; c != nil {
		if unsatisfied := slices.ContainsFunc(w.bangs, func(b awaited) bool { return !b.satisfied && !w.satisfied(b, e) }); unsatisfied && c.State == Converged {
			w.t.Fatalf("%T closed %s with a bang that is not satisfied: %+v", e, c.ID, w.bangs)
		}
		w.bangs, w.told = nil, 0
	}
	return a, fx, err
}

// evaluate finds the bangs that are satisfied now.
func (w *world) evaluate() {
	for i := range w.bangs {
		w.bangs[i].satisfied = w.bangs[i].satisfied || w.satisfied(w.bangs[i], nil)
	}
}

// satisfied asks every member. A report being judged settles what its run was given.
func (w *world) satisfied(b awaited, e Event) bool {
	for id, i := range w.tree.Instances {
		p := w.tree.Partitions[id]
		if p == nil || i.State != Started || b.scope != nil && !slices.Contains(b.scope, id) {
			continue
		}
		settled := w.settled[p.AllocationID]
		if r, ok := e.(ReportRun); ok && r.AllocationID == p.AllocationID && r.Result == Success && r.Local == nil {
			for _, run := range w.begun {
				if run.run == r.RunID {
					settled = newer(settled, run.wanted)
				}
			}
		}
		if settled.Less(b.generation) {
			return false
		}
	}
	return true
}

// compare compares the tree with the model.
func (w *world) compare(m move) {
	w.evaluate()
	unsettled := false
	for id, p := range w.tree.Partitions {
		if got := w.tree.Wanted(p); got != w.wanted[id] {
			w.t.Fatalf("after %v: %s is wanted at %s, the feed said %s", m, id, got, w.wanted[id])
		}
		if p.Settled != w.settled[p.AllocationID] {
			w.t.Fatalf("after %v: %s settled %s, its runs settled %s", m, id, p.Settled, w.settled[p.AllocationID])
		}
		unsettled = unsettled || w.settled[p.AllocationID].Less(w.wanted[id])
		if s := w.tree.PartitionColour(id, w.now, time.Time{}); s.Colour == Red && s.Reason == "" {
			w.t.Fatalf("after %v: %s is Red without a reason", m, id)
		}
	}
	if unsettled != w.tree.Unsettled() {
		w.t.Fatalf("after %v: the tree is unsettled: %t, and should be %t", m, w.tree.Unsettled(), unsettled)
	}
	satisfied := uint64(0)
	for _, b := range w.bangs {
		if b.satisfied {
			satisfied++
		}
	}
	if open := satisfied < uint64(len(w.bangs)); open != (w.tree.Convergence != nil) {
		w.t.Fatalf("after %v: a convergence is open: %t, and should be %t: %+v", m, w.tree.Convergence != nil, open, w.bangs)
	}
	if w.told > satisfied {
		w.t.Fatalf("after %v: %d bangs were told satisfied, %d are", m, w.told, satisfied)
	}
}

func TestTreeAgreesWithAModelThatKeepsEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.Byte()
		moves := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) move {
			return move{b.Draw(rt, "op"), b.Draw(rt, "x"), b.Draw(rt, "y"), b.Draw(rt, "z")}
		}), 1, 120).Draw(rt, "moves")
		w := newWorld(t)
		w.t = failer{TB: t, rt: rt}
		w.prepare()
		w.play(moves)
	})
}

// prepare makes a tree of four allocated members, so that random stories soon have something to break.
func (w *world) prepare() {
	w.play([]move{{0, 0, 0, 1}, {0, 1, 1, 1}, {0, 1, 2, 1}, {0, 2, 3, 1}, {3, 0, 0, 0}, {3, 1, 1, 2}, {3, 2, 2, 1}, {3, 3, 0, 2}})
}

// failer fails the rapid test, so that it is made smaller.
type failer struct {
	testing.TB
	rt *rapid.T
}

func (f failer) Fatalf(format string, args ...any) { f.rt.Fatalf(format, args...) }
func (f failer) Fatal(args ...any)                 { f.rt.Fatal(args...) }

func FuzzEvents(f *testing.F) {
	f.Add([]byte{9, 0, 0, 0, 4, 0, 30, 0, 6, 0, 1, 1, 11, 0, 0, 0})
	f.Add([]byte{11, 0, 0, 0, 2, 0, 0, 0, 4, 3, 30, 0, 6, 0, 1, 1, 15, 2, 2, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var moves []move
		for ; len(raw) >= 4 && len(moves) < 300; raw = raw[4:] {
			moves = append(moves, move{raw[0], raw[1], raw[2], raw[3]})
		}
		w := newWorld(t)
		w.prepare()
		w.play(moves)
	})
}
