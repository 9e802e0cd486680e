package fleet

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// two are a tree of shared instances and a tree of hosts, with a messenger between them that is late, forgets, and says things twice.
type two struct {
	t           testing.TB
	site, front *Tree
	now         time.Time
	late        []func()
	runs        int
	// ran are the parameters that successful runs of hosts were given, by shared instance and value.
	ran map[[2]string]bool
	// words are the newest ones, by host.
	words map[Hosting]Generation
}

func newTwo(t testing.TB) *two {
	w := &two{t: t, site: New("ta", "default", 1), front: New("tb", "default", 1), now: noon, ran: map[[2]string]bool{}, words: map[Hosting]Generation{}}
	w.step(w.site, Request{Title: "root", Release: "site"})
	w.step(w.front, Request{Title: "web0", Release: "front"})
	w.step(w.front, Request{Title: "web1", Release: "front", RequesterID: "tb.i1"})
	for n := range 2 {
		w.step(w.front, Allocate{InstanceID: fmt.Sprintf("tb.i%d", n+1), Computer: "c", Partition: fmt.Sprint("p", n)})
	}
	return w
}

func (w *two) step(t *Tree, e Event) (Answer, Effects, error) {
	before := stored(w.t, t)
	a, fx, err := t.Step(e, w.now)
	if after := stored(w.t, t); (err != nil || fx.None()) && string(before) != string(after) {
		w.t.Fatalf("%T told no effects (%v), and changed the tree", e, err)
	}
	if err := t.Check(); err != nil {
		w.t.Fatalf("after %T: %v", e, err)
	}
	w.true(e)
	return a, fx, err
}

// true says that a shared instance is called served only when a run of a host was given what it wants, and that its host's words never go back.
func (w *two) true(e Event) {
	for id, i := range w.site.Instances {
		if !i.Shared || i.Host == "" || i.State != Started {
			continue
		}
		if ready, _ := w.site.Ready(i); ready && !w.ran[[2]string{id, i.Parameters["v"]}] {
			w.t.Fatalf("after %T %s is called served with %v, which no run was given", e, id, i.Parameters)
		}
		h := Hosting{SharedID: id, HostID: i.Host}
		if i.Word.Stamp.Less(w.words[h]) && !i.Word.Stamp.IsZero() {
			w.t.Fatalf("after %T the word of %v went back from %s to %s", e, h, w.words[h], i.Word.Stamp)
		}
		w.words[h] = i.Word.Stamp
	}
}

// messenger carries the word of one shared instance as internal/placement does, in steps of which each may be the last, or happen much later.
func (w *two) messenger(h Hosting, m move) {
	later := func(do func()) {
		switch m.z % 4 {
		case 0:
			w.late = append(w.late, do)
		case 1:
			do()
			w.late = append(w.late, do)
		default:
			do()
		}
	}
	wanted, wants := w.site.Wants(h)
	later(func() {
		if !wants {
			w.step(w.front, Unhost{SharedID: h.SharedID, HostID: h.HostID})
			return
		}
		a, _, err := w.step(w.front, wanted)
		if err != nil {
			later(func() { w.step(w.site, HostLost{SharedID: h.SharedID, HostID: h.HostID, Reason: err.Error()}) })
			return
		}
		said := a.(HostAnswer)
		later(func() {
			w.step(w.site, HostSaid{SharedID: h.SharedID, HostID: h.HostID, Word: said.Word, Connection: said.Connection, Delay: said.Delay})
		})
	})
}

func (w *two) move(m move) {
	host := fmt.Sprintf("tb.i%d", 1+m.x%2)
	shared := "ta.i999"
	if all := w.site.Sorted()[1:]; len(all) > 0 {
		shared = all[int(m.y)%len(all)].ID
	}
	_, allocated := w.front.Partitions[host]
	switch m.op % 10 {
	case 0, 1:
		w.step(w.site, Request{RequesterID: "ta.i1", Title: fmt.Sprint("s", m.y%3), Release: "front", Shared: true, State: State(m.z % 3), Parameters: map[string]string{"v": fmt.Sprint(m.x % 4)}})
	case 2:
		w.step(w.site, TakeHost{SharedID: shared, HostID: host})
	case 3, 4:
		if i := w.site.Instances[shared]; i != nil && i.Host != "" {
			w.messenger(Hosting{SharedID: shared, HostID: i.Host}, m)
		}
	case 5:
		if n := len(w.late); n > 0 { // in any order
			at := int(m.x) % n
			do := w.late[at]
			w.late = append(w.late[:at], w.late[at+1:]...)
			do()
		}
	case 6, 7:
		if allocated {
			w.run(host, m)
		}
	case 8:
		switch m.z % 5 {
		case 0:
			w.step(w.site, SetState{InstanceID: shared, State: State(1 + m.x%3)})
		case 1:
			w.step(w.front, SetState{InstanceID: "tb.i2", State: State(1 + m.x%3)})
		case 2:
			w.step(w.site, EpochMoved{Epoch: w.site.Generation.Epoch + 1})
		case 3:
			w.step(w.front, EpochMoved{Epoch: w.front.Generation.Epoch + 1})
		}
	default:
		if allocated {
			w.step(w.front, Bang{AllocationID: w.front.Partitions[host].AllocationID, Origin: OriginPromise, Source: fmt.Sprint(m.y)})
		}
		w.now = w.now.Add(time.Duration(m.z) * time.Minute)
	}
}

func (w *two) run(host string, m move) {
	w.runs++
	e := BeginRun{AllocationID: w.front.Partitions[host].AllocationID, RunID: fmt.Sprint("run", w.runs)}
	a, _, err := w.step(w.front, e)
	if err != nil {
		return
	}
	for _, h := range w.front.HostedBy(host) {
		if m.z%2 == 0 {
			w.step(w.front, Publish{AllocationID: e.AllocationID, Token: a.(BeginRunAnswer).Token, SharedID: h.SharedID, Parameters: map[string]string{"url": h.Parameters["v"] + fmt.Sprint(m.y%2)}})
		}
	}
	result := Success + Result(m.x%4/3)
	for _, h := range w.front.HostedBy(host) {
		w.ran[[2]string{h.SharedID, h.Parameters["v"]}] = w.ran[[2]string{h.SharedID, h.Parameters["v"]}] || result == Success
	}
	w.step(w.front, ReportRun{AllocationID: e.AllocationID, RunID: e.RunID, Token: a.(BeginRunAnswer).Token, Result: result})
}

// sweep does what svc-master does each minute; false = the two sides agree already.
func (w *two) sweep() bool {
	w.step(w.front, Judge{})
	wanted, hosted := w.site.SeenShared(), w.front.SeenHosted()
	if maps.Equal(wanted, hosted) {
		return false
	}
	all := maps.Clone(wanted)
	maps.Copy(all, hosted)
	for h := range all {
		if wanted[h] != hosted[h] {
			w.messenger(h, move{z: 2})
		}
	}
	return true
}

// agree says that both sides say the same, and that it is true.
func (w *two) agree() {
	for n := 0; w.sweep(); n++ {
		if n == 3 {
			w.t.Fatalf("the sides still differ: %v, %v", w.site.SeenShared(), w.front.SeenHosted())
		}
	}
	for id, i := range w.site.Instances {
		h := w.front.Hosted[id]
		if !i.Shared || i.Host == "" || i.State != Started {
			if h != nil {
				w.t.Fatalf("%s is %s, hosted by %q, and in the list of %s", id, i.State, i.Host, h.HostID)
			}
			continue
		}
		host, p := w.front.Instances[h.HostID], w.front.Partitions[h.HostID]
		if h.HostID != i.Host || h.Title != i.Title || !maps.Equal(h.Parameters, i.Parameters) {
			w.t.Fatalf("%s wants %v of %s, its host has %v", id, i.Parameters, i.Host, h)
		}
		if len(h.Connection) > 0 && !maps.Equal(h.Connection, i.Connection) {
			w.t.Fatalf("%s has %v, its host published %v", id, i.Connection, h.Connection)
		}
		green := w.front.PartitionColour(host.ID, w.now, time.Time{}).Colour == Green
		ready, reason := w.site.Ready(i)
		if want := green && !p.Settled.Less(h.Wanted); ready != want || ready == (reason != "") {
			w.t.Fatalf("%s is ready: %t (%s), and should be: %t", id, ready, reason, want)
		}
		if colour := w.site.PartitionColour(id, w.now, time.Time{}); colour.Colour != Green && green && h.Once || colour.Colour == Green && !green || colour.Colour == Red && colour.Reason == "" {
			w.t.Fatalf("%s is %+v, its host is Green: %t", id, colour, green)
		}
	}
}

func TestWhateverIsLateLostOrSaidTwiceTheTwoSidesOfASharedInstanceAgreeInTheEnd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.Byte()
		moves := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) move {
			return move{b.Draw(rt, "op"), b.Draw(rt, "x"), b.Draw(rt, "y"), b.Draw(rt, "z")}
		}), 1, 80).Draw(rt, "moves")
		w := newTwo(failer{TB: t, rt: rt})
		for _, m := range append([]move{{6, 0, 0, 0}, {6, 1, 0, 0}, {0, 0, 0, 0}, {0, 0, 1, 0}, {2, 0, 1, 0}, {2, 1, 2, 0}}, moves...) {
			w.move(m)
		}
		w.agree()
		for len(w.late) > 0 { // what was said long ago changes nothing for long
			do := w.late[0]
			w.late = w.late[1:]
			do()
		}
		w.late = nil
		w.agree()
	})
}

func TestAHostHasBounds(t *testing.T) {
	w := newTwo(t)
	host := func(n int, parameters map[string]string) error {
		_, _, err := w.front.Step(Host{SharedID: fmt.Sprint("tc.i", n), HostID: "tb.i1", Account: "default", Title: "x", Release: "front", Type: DefaultType, Parameters: parameters, Generation: Generation{1, 1}}, noon)
		return err
	}
	for n := range MaxHosted {
		if err := host(n, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := host(MaxHosted, nil); KindOf(err) != Exhausted {
		t.Errorf("one more than %d: %v", MaxHosted, err)
	}
	w = newTwo(t)
	large := make([]byte, MaxParameters)
	for n := 0; ; n++ {
		err := host(n, map[string]string{"k": string(append([]byte(fmt.Sprint(n)), large[:MaxParameters-10]...))})
		if err != nil {
			if KindOf(err) != Exhausted || n != MaxHostedBytes/MaxParameters-1 { // its title takes some too
				t.Errorf("number %d with %d bytes: %v", n, MaxParameters, err)
			}
			break
		}
	}
	if err := w.front.Check(); err != nil {
		t.Error(err)
	}
}

func TestAHostIsChosenByItsStateAndItsLoad(t *testing.T) {
	computer := ComputerView{Name: "c", Group: "g"}
	hosts := []HostView{
		{ID: "tb.i1", Title: "busy", Account: "default", State: Started, Computer: computer, Hosts: 3},
		{ID: "tb.i2", Title: "free", Account: "default", State: Started, Computer: computer, Hosts: 1},
		{ID: "tb.i3", Title: "stopped", Account: "default", State: Stopped, Computer: computer},
		{ID: "tb.i4", Title: "other", Account: "other", State: Started, Computer: computer},
	}
	for _, c := range []struct {
		request HostRequest
		want    string
	}{
		{HostRequest{}, "tb.i2"},
		{HostRequest{RequesterID: "tb.i2"}, "tb.i1"},
		{HostRequest{Sla: Sla{Host: "tb.i3"}}, "tb.i3"},
		{HostRequest{Sla: Sla{Host: "tb.i4", Group: "g"}}, "tb.i4 is no instance of software release r, type t, with a partition"},
		{HostRequest{Computer: "d", Sla: Sla{Host: "tb.i1"}}, `"busy" (tb.i1) is on c`},
		{HostRequest{Sla: Sla{Group: "h", Host: "tb.i1"}}, `"busy" (tb.i1): c is not of group "h"`},
		{HostRequest{Sla: Sla{Host: "tb.i1"}, Bytes: MaxHostedBytes + 1}, `"busy" (tb.i1) would have 1048577 bytes of parameters of shared instances, more than 1048576`},
	} {
		c.request.Account, c.request.Release, c.request.Type = "default", "r", "t"
		chosen, reason := ChooseHost(c.request, hosts)
		if chosen != nil {
			reason = chosen.ID
		}
		if reason != c.want {
			t.Errorf("%+v: %s, want %s", c.request, reason, c.want)
		}
	}
	if _, reason := ChooseHost(HostRequest{Release: "r", Type: "t"}, nil); reason != "no instance of software release r, type t, has a partition and could host it" {
		t.Error(reason)
	}
}
