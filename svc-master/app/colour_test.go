package app_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// told is what a watch of colours has said, with the virtual time when it did.
type told struct {
	at   time.Time
	text string
}

func (m *master) watchTrees(req *masterv1.WatchTreeColoursRequest) <-chan told {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	stream, err := m.trees.WatchTreeColours(ctx, req)
	if err != nil {
		m.t.Fatal(err)
	}
	return follow(m, cancel, func() (string, bool) {
		if !stream.Receive() {
			return "", false
		}
		r := stream.Msg()
		text := r.GetTitle() + " " + short(r.GetColour())
		for _, i := range r.GetInstances() {
			text += ", " + i.GetTitle() + " " + short(i.GetColour())
			if !i.GetSettled() {
				text += " unsettled"
			}
			if i.GetError() != "" {
				text += " (" + i.GetError() + ")"
			}
		}
		return text, true
	})
}

func (m *master) watchComputers() <-chan told {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	stream, err := m.computers.WatchComputerColours(ctx, &masterv1.WatchComputerColoursRequest{})
	if err != nil {
		m.t.Fatal(err)
	}
	return follow(m, cancel, func() (string, bool) {
		if !stream.Receive() {
			return "", false
		}
		return stream.Msg().GetComputer() + " " + short(stream.Msg().GetColour()), true
	})
}

func follow(m *master, cancel func(), next func() (string, bool)) <-chan told {
	all, ended := make(chan told, 100), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			text, ok := next()
			if !ok {
				return
			}
			all <- told{time.Now(), text}
		}
	}()
	m.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return all
}

func short(c *typev1.ColourStatus) string {
	if c == nil {
		return "gone"
	}
	return strings.ToLower(strings.TrimPrefix(c.GetColour().String(), "COLOUR_"))
}

// expect wants that exactly these were said, each within a second of a time.
func expect(t *testing.T, from <-chan told, wants ...told) {
	t.Helper()
	synctest.Wait()
	for _, want := range wants {
		select {
		case got := <-from:
			if late := got.at.Sub(want.at); got.text != want.text || late < 0 || late > time.Second {
				t.Errorf("it says %q at %s, want %q at %s", got.text, got.at, want.text, want.at)
			}
		default:
			t.Errorf("it does not say %q at %s", want.text, want.at)
		}
	}
	select {
	case more := <-from:
		t.Errorf("it says %q at %s too", more.text, more.at)
	default:
	}
}

// Time alone turns colours, to the second, without anyone asking; so do contacts and reports.
func TestColoursTurnWithoutAnyoneAsking(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		time.Sleep(2 * time.Minute) // the control plane is there for long
		m.register("one", 1)        // its partitions run at least once an hour
		heard := time.Now()
		web := m.request("", "web").GetInstance()
		m.run(web)
		ran := time.Now()
		time.Sleep(time.Second)
		now := time.Now()
		trees, computers := m.watchTrees(&masterv1.WatchTreeColoursRequest{TreeId: web.GetTreeId()}), m.watchComputers()
		time.Sleep(time.Second)
		expect(t, trees, told{now, "web green, web green"})
		expect(t, computers, told{now, "one green"})

		time.Sleep(62 * time.Minute)
		expect(t, computers, told{heard.Add(5 * time.Minute), "one orange"}, told{heard.Add(60 * time.Minute), "one red"})
		expect(t, trees, told{ran.Add(61 * time.Minute), "web red, web red"})

		now = time.Now()
		runID, begun := m.begin(web, typev1.Cause_CAUSE_PERIODICITY) // which is a contact
		time.Sleep(2 * time.Second)
		expect(t, computers, told{now, "one green"})
		now = time.Now()
		r := report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_FAILURE)
		r.Error, r.ErrorType = "no space left", "disk"
		must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(t.Context(), r))
		time.Sleep(2 * time.Second)
		expect(t, trees, told{now, "web red, web red (no space left)"})
		now = time.Now()
		m.run(web)
		time.Sleep(2 * time.Second)
		expect(t, trees, told{now, "web green, web green"})
		expect(t, computers)
	})
}

// A tree stays Green through an upgrade that works: only what is settled tells when it is done.
func TestAnUpgradeOfAGreenTreeIsToldBySettled(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		web := m.request("", "web").GetInstance()
		m.run(web)
		time.Sleep(time.Second)
		now := time.Now()
		trees := m.watchTrees(&masterv1.WatchTreeColoursRequest{TreeId: web.GetTreeId()})
		time.Sleep(time.Second)
		expect(t, trees, told{now, "web green, web green"})
		now = time.Now()
		must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			Title: "web", SoftwareRelease: release, Parameters: map[string]string{"port": "81"},
		}))
		time.Sleep(time.Second)
		expect(t, trees, told{now, "web green, web green unsettled"})
		now = time.Now()
		m.run(web)
		time.Sleep(time.Second)
		expect(t, trees, told{now, "web green, web green"})
	})
}

// A rename of a root moves its title: the new one finds it, the old one is free, and one that is taken is refused.
func TestARootIsRenamedWithItsTitle(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 4)
		web, other := m.request("", "web").GetInstance(), m.request("", "other").GetInstance()
		rename := func(id, title string) error {
			_, err := m.instances.RenameInstance(t.Context(), &masterv1.RenameInstanceRequest{InstanceId: id, Title: title})
			return err
		}
		if err := rename(web.GetInstanceId(), "other"); err == nil || !strings.Contains(err.Error(), other.GetTreeId()) {
			t.Fatalf("it takes the title of another tree: %v", err)
		}
		for range 2 { // idempotent
			if err := rename(web.GetInstanceId(), "site"); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.request("", "site").GetInstance(); got.GetInstanceId() != web.GetInstanceId() {
			t.Fatalf("under its new title is %v", got)
		}
		if got := m.request("", "web").GetInstance(); got.GetTreeId() == web.GetTreeId() {
			t.Fatalf("under its old title is %v", got)
		}
		// A rename that was cut short after it was committed leaves its old title behind; who asks for that gets a tree of its own.
		if err := m.redis.Redis().HSet(t.Context(), "{i:default:left}", "tree", web.GetTreeId()).Err(); err != nil {
			t.Fatal(err)
		}
		if got := m.request("", "left").GetInstance(); got.GetTreeId() == web.GetTreeId() || got.GetTitle() != "left" {
			t.Fatalf("under a title that was left over is %v", got)
		}
		child := m.request(web.GetInstanceId(), "db").GetInstance()
		if err := rename(child.GetInstanceId(), "mysql"); err != nil {
			t.Fatal(err)
		}
		if got := m.instance(child.GetInstanceId()); got.GetTitle() != "mysql" {
			t.Fatalf("the child is %v", got)
		}
	})
}

// What a successful run does not request any more is destroyed.
func TestWhatNoRunRequestsAnyMoreGoes(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 4)
		web := m.request("", "web").GetInstance()
		round := func(titles ...string) {
			runID, begun := m.begin(web, typev1.Cause_CAUSE_CHANGED)
			r := report(web, runID, begun.GetToken(), typev1.RunResult_RUN_RESULT_SUCCESS)
			r.Requested = &masterv1.RequestedByRun{}
			for _, title := range titles {
				r.Requested.InstanceIds = append(r.Requested.InstanceIds, must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
					RequesterId: web.GetInstanceId(), RequesterAllocationId: web.GetAllocationId(), RequesterToken: begun.GetToken(), Title: title, SoftwareRelease: release,
				})).GetInstance().GetInstanceId())
			}
			must[*masterv1.ReportRunResponse](m)(m.runs.ReportRun(t.Context(), r))
		}
		titles := func() string {
			var all []string
			for _, i := range m.tree(web.GetTreeId()).GetInstances() {
				all = append(all, i.GetTitle()+" "+strings.ToLower(strings.TrimPrefix(i.GetState().String(), "REQUESTED_STATE_")))
			}
			return strings.Join(all, ", ")
		}
		round("db", "cache")
		if got := titles(); got != "web started, db started, cache started" {
			t.Fatal(got)
		}
		round("cache")
		if got := titles(); got != "web started, db destroyed, cache started" {
			t.Fatal(got)
		}
		m.run(m.tree(web.GetTreeId()).GetInstances()[1])
		if got := titles(); got != "web started, cache started" {
			t.Fatal(got)
		}
	})
}
