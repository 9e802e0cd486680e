package placement_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/placement"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

const release = "file:///r"

func begin(t *testing.T, redis *store.Store) (*redisstore.Store, *placement.Placer) {
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
	return s, placement.New(s, slog.New(slog.DiscardHandler))
}

// register makes a computer with n partitions and the release.
func register(t *testing.T, s *redisstore.Store, name string, n int) {
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
