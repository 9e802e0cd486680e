package placement_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/parameter"
	"github.com/vow-os/vow/svc-master/internal/placement"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

const release = "file:///r"

func begin(t testing.TB, redis *store.Store) (*redisstore.Store, *placement.Placer) {
	t.Helper()
	s := redisstore.New(redisstore.Settings{Redis: redis})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, placement.New(s, parameter.New(s, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
}

// register makes a computer with n partitions and the release.
func register(t testing.TB, s *redisstore.Store, name string, n int) {
	t.Helper()
	_, err := s.ChangeComputer(t.Context(), name, func(c *redisstore.Computer) error {
		c.Record = &storev1.ComputerRecord{Cpus: 1}
		for i := range n {
			c.Slots[fmt.Sprint("p", i)] = &storev1.SlotRecord{}
		}
		c.Software[release] = &storev1.SoftwareRecord{Requested: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// request makes a tree whose root has no place yet.
func request(t *testing.T, s *redisstore.Store, treeID string) (instanceID string) {
	t.Helper()
	_, err := s.Update(t.Context(), redisstore.Change{Tree: treeID, Account: "default", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.Request(fleet.Request{Title: treeID, Release: release}, now)
		return nil, fx, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return treeID + ".i1"
}

func reserved(t *testing.T, s *redisstore.Store, computer string) map[string]string {
	t.Helper()
	c, err := s.Computer(t.Context(), computer)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for partition, r := range c.Reservations {
		out[partition] = r.GetInstanceId()
	}
	return out
}

// Instances that race for partitions, on two replicas, each get one or a reason; no partition is held twice.
func TestRaceForPartitions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) {
		s, placer := begin(t, redis)
		other, elsewhere := begin(t, redis)
		register(t, s, "one", 4)
		const instances = 8
		var racing sync.WaitGroup
		for n := range instances {
			id := request(t, s, fmt.Sprint("trace", n))
			for _, p := range []*placement.Placer{placer, elsewhere} {
				racing.Go(func() {
					if err := p.Place(t.Context(), id); err != nil {
						t.Error(err)
					}
				})
			}
		}
		racing.Wait()
		held := reserved(t, other, "one")
		if len(held) != 4 {
			t.Fatalf("%d partitions are held: %v", len(held), held)
		}
		allocated := 0
		for n := range instances {
			err := other.View(t.Context(), fmt.Sprint("trace", n), func(tree *fleet.Tree, _ time.Time) error {
				id := tree.RootID
				p := tree.Partitions[id]
				switch {
				case p == nil && tree.Instances[id].Unallocated == "":
					t.Errorf("%s has neither a place nor a reason", id)
				case p != nil && held[p.Name] != id:
					t.Errorf("%s is in %s, which is held by %s", id, p.Name, held[p.Name])
				case p != nil:
					allocated++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if allocated != 4 {
			t.Fatalf("%d instances are allocated, want 4", allocated)
		}
	})
}

// Why an instance has no place is read by many; the URL of its release may be signed.
func TestAReasonNamesTheReleaseWithoutWhatIsSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) {
		s, placer := begin(t, redis)
		register(t, s, "one", 1)
		_, err := s.Update(t.Context(), redisstore.Change{Tree: "trace", Account: "default", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.Request(fleet.Request{Title: "root", Release: "https://user:s3cret@host/r.tar?signature=s3cret"}, now)
			return nil, fx, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := placer.Place(t.Context(), "trace.i1"); err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), "trace", func(tree *fleet.Tree, _ time.Time) error {
			want := "software release https://REDACTED@host/r.tar?REDACTED is supplied to no computer"
			if got := tree.Instances["trace.i1"].Unallocated; got != want {
				t.Errorf("the reason is %q, want %q", got, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A reservation that was never committed is used by the next attempt of its instance, and released when its instance has
// another place or is gone; one that is committed stays.
func TestOrphanReservationIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, placer := begin(t, storetest.Embedded(t))
		register(t, s, "one", 2)
		id := request(t, s, "tkept")
		if err := placer.Place(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		_, err := s.ChangeComputer(t.Context(), "one", func(c *redisstore.Computer) error {
			c.Reservations["p1"] = &storev1.ReservationRecord{InstanceId: "tgone.i1"}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- placer.Reconcile(ctx) }()
		time.Sleep(time.Minute + time.Second) // seen once
		if held := reserved(t, s, "one"); len(held) != 2 {
			t.Fatalf("a reservation that may be under way was released: %v", held)
		}
		time.Sleep(2 * time.Minute)
		if held := reserved(t, s, "one"); len(held) != 1 || held["p0"] != id {
			t.Fatalf("held are %v, want only %s", held, id)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// An attempt that was cut short between reservation and commit is finished by the next one, on the same partition.
func TestPlaceFinishesWhatWasReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, placer := begin(t, storetest.Embedded(t))
		register(t, s, "one", 4)
		id := request(t, s, "tcut")
		_, err := s.ChangeComputer(t.Context(), "one", func(c *redisstore.Computer) error {
			c.Reservations["p3"] = &storev1.ReservationRecord{InstanceId: id}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := placer.Place(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if held := reserved(t, s, "one"); len(held) != 1 || held["p3"] != id {
			t.Fatalf("held are %v", held)
		}
	})
}

// reconciling runs Reconcile until the function it returns is called.
func reconciling(t *testing.T, placer *placement.Placer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- placer.Reconcile(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func hold(t *testing.T, s *redisstore.Store, computer, partition, instanceID string) {
	t.Helper()
	if _, err := s.ChangeComputer(t.Context(), computer, func(c *redisstore.Computer) error {
		if delete(c.Reservations, partition); instanceID != "" {
			c.Reservations[partition] = &storev1.ReservationRecord{InstanceId: instanceID}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// A reservation that a fail-over of the computer's server lost is made again, while the tree holds its partition.
func TestALostReservationIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, placer := begin(t, storetest.Embedded(t))
		register(t, s, "one", 2)
		id := request(t, s, "tlost")
		if err := placer.Place(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		hold(t, s, "one", "p0", "")
		defer reconciling(t, placer)()
		time.Sleep(time.Minute + time.Second)
		if held := reserved(t, s, "one"); len(held) != 1 || held["p0"] != id {
			t.Fatalf("held are %v, want p0 by %s", held, id)
		}
	})
}

// Of two instances that a loss of data left in one partition the one with the reservation stays, and the other one gets another place.
func TestTwoInstancesInOnePartitionAreParted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, placer := begin(t, storetest.Embedded(t))
		register(t, s, "one", 2)
		first, second := request(t, s, "tfirst"), request(t, s, "tsecond")
		if err := placer.Place(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		hold(t, s, "one", "p0", "")
		if err := placer.Place(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		defer reconciling(t, placer)()
		time.Sleep(2*time.Minute + time.Second)
		if held := reserved(t, s, "one"); len(held) != 2 || held["p0"] != second || held["p1"] != first {
			t.Fatalf("held are %v, want p0 by %s and p1 by %s", held, second, first)
		}
	})
}

// A tree whose end was committed by a replica that died at once is buried, and its title is free.
func TestATreeThatIsGoneIsBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, placer := begin(t, storetest.Embedded(t))
		if _, err := s.ReserveRoot(t.Context(), "default", "tgone", "tgone"); err != nil {
			t.Fatal(err)
		}
		id := request(t, s, "tgone")
		if _, err := s.Update(t.Context(), redisstore.Change{Tree: "tgone", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.SetState(fleet.SetState{InstanceID: id, State: fleet.Destroyed}, now)
			return nil, fx, err
		}}); err != nil {
			t.Fatal(err)
		}
		defer reconciling(t, placer)()
		time.Sleep(time.Minute + time.Second)
		if trees, err := s.Trees(t.Context()); err != nil || len(trees) != 0 {
			t.Fatalf("the trees are %v, %v", trees, err)
		}
		if id, err := s.Root(t.Context(), "default", "tgone"); err == nil {
			t.Fatalf("the title still names %s", id)
		}
	})
}

// readings counts how often computers are read.
type readings struct{ count atomic.Int64 }

func (r *readings) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (r *readings) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (r *readings) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if args := cmd.Args(); cmd.Name() == "hgetall" && strings.HasPrefix(fmt.Sprint(args[1]), "{c:") {
				r.count.Add(1)
			}
		}
		return next(ctx, cmds)
	}
}

// A fleet without room is read once for all that wait, not once for each: else a hundred that wait would make each change of a computer cost a hundred fleets.
func TestAFullFleetIsReadOnceForAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := storetest.Embedded(t)
		s, placer := begin(t, on)
		const computers, waiting = 10, 20
		for n := range computers {
			register(t, s, fmt.Sprint("c", n), 0)
		}
		for n := range waiting {
			request(t, s, fmt.Sprint("twait", n))
		}
		counted := &readings{}
		on.Redis().AddHook(counted)
		defer reconciling(t, placer)()
		time.Sleep(time.Minute + 500*time.Millisecond)
		if n := counted.count.Load(); n > 5*computers {
			t.Fatalf("computers were read %d times for %d that wait", n, waiting)
		}
	})
}
