package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/app"
)

// shelf is a software root in which an installation takes as long as a test wants.
type shelf struct {
	takes time.Duration

	mu        sync.Mutex
	err       error
	installed map[string]bool
	attempts  []time.Time
	active    int
	most      int
	kept      []string
	collects  bool
}

func newShelf(takes time.Duration) *shelf { return &shelf{takes: takes, installed: map[string]bool{}} }

func (s *shelf) Directory(url string) string { return "/software/" + url }

func (s *shelf) Installed(url string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.installed[url]
}

func (s *shelf) Install(ctx context.Context, url string, o app.InstallObserver) error {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	s.active++
	s.most = max(s.most, s.active)
	err := s.err
	s.mu.Unlock()
	_, end := o.Begin(ctx, "download")
	defer end(err)
	for began := time.Now(); time.Since(began) < s.takes; {
		select {
		case <-ctx.Done():
			err = ctx.Err()
			s.mu.Lock()
			s.active--
			s.mu.Unlock()
			return err
		case <-time.After(10 * time.Millisecond):
			o.Progress(time.Since(began).Milliseconds(), s.takes.Milliseconds())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.installed[url] = err == nil
	return err
}

func (s *shelf) Remove(_ context.Context, url string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.installed, url)
	return nil
}

func (s *shelf) Collect(_ context.Context, keep []string, installed bool) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.collects = keep, installed
	return nil, nil
}

func (*shelf) Options(string) app.ReleaseOptions { return app.ReleaseOptions{} }

// read reads what the shelf remembers.
func read[T any](s *shelf, of func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of()
}

// supply changes what is supplied, and tells it.
func (c *control) supply(software ...*masterv1.Software) {
	c.mu.Lock()
	c.software = software
	c.mu.Unlock()
	c.deltas <- &masterv1.WatchDesiredResponse{Software: software, SoftwareChanged: true}
}

// told lists the states that svc-master was told of a release.
func (c *control) told(url string) []*masterv1.ReportSoftwareStateRequest {
	return look(c, func() (all []*masterv1.ReportSoftwareStateRequest) {
		for _, r := range c.states {
			if r.GetSoftwareRelease() == url {
				all = append(all, r)
			}
		}
		return all
	})
}

func TestProgressIsToldAtMostOnceASecondAndLessOftenTheLongerItTakes(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.releases = newShelf(10 * time.Minute)
		n.start()
		time.Sleep(11 * time.Minute)
		told := n.told(n.release)
		if len(told) < 40 || len(told) > 95 {
			t.Errorf("in ten minutes svc-master was told %d times", len(told))
		}
		var before uint64
		for _, r := range told[:len(told)-1] {
			if p := r.GetProgress(); r.GetState() != masterv1.SoftwareState_SOFTWARE_STATE_BUILDING || p.GetDoneBytes() < before || p.GetAttempt() != 1 {
				t.Errorf("after %d bytes it was told %v", before, r)
			}
			before = r.GetProgress().GetDoneBytes()
		}
		if last := told[len(told)-1]; last.GetState() != masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE || before < 500_000 {
			t.Errorf("after %d bytes, the last is %v", before, last)
		}
	})
}

func TestTwoPartitionsThatWaitForOneReleaseRunWithWhatIsInstalledOnce(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		s := newShelf(time.Minute)
		n.releases = s
		n.start()
		for i, partition := range []string{"slappart0", "slappart1"} {
			allocation := fmt.Sprintf("t1.a%d", i)
			n.allocate(partition, allocation, uint64(i+1), n.release)
			n.order(partition, allocation, i)
		}
		time.Sleep(10 * time.Second)
		for i := range 2 {
			if r := n.report(i); r.GetErrorType() != "not_available" || !strings.Contains(r.GetError(), "is being installed") {
				t.Errorf("while it is installed the report is %v", r)
			}
		}
		time.Sleep(time.Minute)
		for i, partition := range []string{"slappart0", "slappart1"} {
			n.order(partition, fmt.Sprintf("t1.a%d", i), i+2)
		}
		time.Sleep(10 * time.Second)
		for i := range 2 {
			if r := n.report(i + 2); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
				t.Errorf("afterwards the report is %v", r)
			}
		}
		if attempts := read(s, func() int { return len(s.attempts) }); attempts != 1 {
			t.Errorf("it was installed %d times", attempts)
		}
	})
}

func TestOneInstallationAtATimeAndThoseThatFailGoLast(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		s := newShelf(time.Minute)
		n.releases = s
		n.software = append(n.software, masterSoftware("file:///a"), masterSoftware("file:///z"))
		n.start()
		time.Sleep(4 * time.Minute)
		if most := read(s, func() int { return s.most }); most != 1 {
			t.Errorf("%d installations at once", most)
		}
		if !s.Installed("file:///a") || !s.Installed("file:///z") || !s.Installed(n.release) {
			t.Error("not all are installed")
		}
	})
}

func TestAFailedInstallationIsTriedWithTheGrowingDelayAndAtOnceWhenItsSupplyChanges(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		s := newShelf(0)
		s.err = errors.New("cannot install it: " + strings.Repeat("x", 10_000) + " and this is why")
		n.releases = s
		n.start()
		time.Sleep(time.Hour)
		attempts := read(s, func() int { return len(s.attempts) })
		if attempts < 9 || attempts > 14 {
			t.Errorf("%d attempts in an hour", attempts)
		}
		told := n.told(n.release)
		last := told[len(told)-1]
		if last.GetState() != masterv1.SoftwareState_SOFTWARE_STATE_ERROR || !strings.HasSuffix(last.GetError(), "and this is why") || len(last.GetError()) > 4096 ||
			last.GetRetryIn().AsDuration() < 10*time.Minute || last.GetProgress().GetAttempt() != uint32(attempts) {
			t.Errorf("the last is %v", last)
		}
		same := masterSoftware(n.release)
		same.Reported = masterv1.SoftwareState_SOFTWARE_STATE_ERROR
		n.supply(same) // the node's own report comes back: nothing new
		time.Sleep(time.Second)
		if again := read(s, func() int { return len(s.attempts) }); again != attempts {
			t.Errorf("%d attempts although nothing changed", again-attempts)
		}
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		again := masterSoftware(n.release)
		again.Supply = 2
		n.supply(again)
		time.Sleep(time.Second)
		if !s.Installed(n.release) {
			t.Error("another supply is not tried at once")
		}
	})
}

func TestAnInstallationWhoseSupplyEndsIsEndedWithoutAnError(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		s := newShelf(time.Hour)
		n.releases = s
		n.start()
		time.Sleep(time.Minute)
		gone := masterSoftware(n.release)
		gone.Requested, gone.Supply = masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED, 1
		n.supply(gone)
		time.Sleep(time.Second)
		told := n.told(n.release)
		if last := told[len(told)-1]; last.GetState() != masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
			t.Errorf("the last is %v", last)
		}
		for _, r := range told {
			if r.GetState() == masterv1.SoftwareState_SOFTWARE_STATE_ERROR {
				t.Errorf("it is an error that its supply ended: %v", r)
			}
		}
		if active := read(s, func() int { return s.active }); active != 0 {
			t.Errorf("%d installations go on", active)
		}
	})
}

func TestAReleaseIsRemovedAndCollectedOnlyWhenNoPartitionRunsIt(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		s := newShelf(0)
		n.releases, n.collect = s, true
		n.settled()
		// The upgrade is requested, but its release never comes.
		s.mu.Lock()
		s.err = errors.New("cannot install it")
		s.mu.Unlock()
		const next = "file:///next"
		n.allocate("slappart0", "t1.a1", 2, next)
		gone := masterSoftware(n.release)
		gone.Requested, gone.Supply = masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED, 1
		n.supply(gone, masterSoftware(next))
		time.Sleep(10 * time.Minute)
		if !s.Installed(n.release) {
			t.Error("what the services run is removed")
		}
		n.stop() // what they run is remembered
		n.start()
		time.Sleep(10 * time.Minute)
		n.supply(masterSoftware(next)) // not even named any more
		time.Sleep(time.Second)
		if kept, on := read(s, func() []string { return s.kept }), read(s, func() bool { return s.collects }); !on || !slices.Contains(kept, n.release) || !slices.Contains(kept, next) || !s.Installed(n.release) {
			t.Errorf("collecting (%t) keeps %v", on, kept)
		}
		n.supply(gone, masterSoftware(next))
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		time.Sleep(2 * time.Hour) // the growing delay
		n.order("slappart0", "t1.a1", 9)
		time.Sleep(time.Minute)
		if s.Installed(n.release) || !s.Installed(next) {
			t.Errorf("after the upgrade the old one is installed: %t, the new one: %t", s.Installed(n.release), s.Installed(next))
		}
		if told := n.told(n.release); told[len(told)-1].GetState() != masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
			t.Errorf("the last is %v", told[len(told)-1])
		}
	})
}
