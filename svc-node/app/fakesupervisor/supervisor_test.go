package fakesupervisor_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/svc-node/app/fakesupervisor"
	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// agentsView is what an agent asks for; the real client and the fake must both have it.
type agentsView interface {
	Apply(ctx context.Context, partition string, processes []supervise.Process) error
	Settle(ctx context.Context, partition string) ([]supervise.Status, error)
	List(ctx context.Context, partition string) ([]supervise.Status, error)
	Hand(ctx context.Context, key supervise.Key, action supervise.Action) error
	Subscribe(ctx context.Context, seq uint64) (<-chan supervise.Exit, error)
	Ack(ctx context.Context, seq uint64) error
}

func TestTheFakeAndTheRealClientAreExchangeable(t *testing.T) {
	for _, view := range []agentsView{fakesupervisor.New(), supervisorapi.New(t.TempDir())} {
		if view == nil {
			t.Fatal("no view")
		}
	}
}

func web() supervise.Process {
	return supervise.Process{
		Key: supervise.Key{Partition: "p", Name: "web"}, Kind: supervise.Service, Watched: true, Path: "/bin/web", Dir: "/",
	}
}

func TestACrashIsReportedOnceAndRepairedWithAGrowingDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		s := fakesupervisor.New()
		defer s.Close()
		exits, err := s.Subscribe(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(ctx, "p", []supervise.Process{web()}); err != nil {
			t.Fatal(err)
		}
		for n := range 2 {
			if !s.Crash(web().Key, supervise.Ending{Signal: 9}) {
				t.Fatal("it does not run")
			}
			if e := <-exits; e.Seq != uint64(n+1) || !e.Watched || !strings.HasPrefix(e.Reason, "killed by SIGKILL") {
				t.Errorf("the exit is %+v", e)
			}
		}
		if s.Crash(web().Key, supervise.Ending{}) {
			t.Error("after two ends in a row it runs at once")
		}
		<-time.After(2 * time.Second)
		if units, err := s.Settle(ctx, "p"); err != nil || len(units) != 1 || units[0].State != supervise.Running || units[0].Restarts != 2 {
			t.Errorf("two seconds later it is %+v, %v", units, err)
		}
		if err := s.Ack(ctx, 2); err != nil {
			t.Error(err)
		}
		s.FailStart(web().Key, "cannot start it: no")
		s.Crash(web().Key, supervise.Ending{})
		again, err := s.Subscribe(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if e := <-again; e.Seq != 3 {
			t.Errorf("after the acknowledgement comes exit %d", e.Seq)
		}
	})
}

func TestAnEmptyApplyForgetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakesupervisor.New()
		defer s.Close()
		for _, processes := range [][]supervise.Process{{web()}, nil} {
			if err := s.Apply(t.Context(), "p", processes); err != nil {
				t.Fatal(err)
			}
		}
		if units, err := s.Settle(t.Context(), "p"); err != nil || len(units) != 0 {
			t.Errorf("there is %+v, %v", units, err)
		}
	})
}
