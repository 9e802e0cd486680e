package owner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// truth is a svc-master with three partitions of one tree on c1, wanted at generation 1.
type truth struct{}

func (truth) Computer(_ context.Context, computer string) ([]owner.Placed, error) {
	var list []owner.Placed
	for i := range 3 {
		list = append(list, owner.Placed{Computer: computer, Membership: 1, Allocation: agenda.Allocation{
			AllocationID: fmt.Sprintf("t1.a%d", i), InstanceID: fmt.Sprintf("t1.i%d", i), TreeID: "t1", Partition: fmt.Sprintf("p%d", i), Period: time.Hour,
			Wanted: agenda.Generation{Epoch: 1, Number: 1}, WantedCause: agenda.Changed,
		}})
	}
	return list, nil
}

var errDead = errors.New("the process is dead")

// mortal is a store whose process dies around its n-th save: before it, or after it and before anything else happens.
type mortal struct {
	*redisstore.Store
	mu     sync.Mutex
	saves  int
	dieAt  int
	before bool
	dead   bool
}

func (m *mortal) Save(ctx context.Context, computer string, session uint64, head *redisstore.Head, entries []*agenda.Entry, removed []string) error {
	m.mu.Lock()
	m.saves++
	dies := m.saves == m.dieAt
	if m.dead || (dies && m.before) {
		m.dead = true
		m.mu.Unlock()
		return errDead
	}
	m.mu.Unlock()
	err := m.Store.Save(ctx, computer, session, head, entries, removed)
	if dies {
		m.mu.Lock()
		m.dead = true
		m.mu.Unlock()
		return errDead
	}
	return err
}

// received collects what a stream hands over until it ends.
func received(stream *owner.Stream) func() []agenda.Order {
	var mu sync.Mutex
	var got []agenda.Order
	go func() {
		for {
			orders, err := stream.Next(context.Background())
			if err != nil {
				return
			}
			mu.Lock()
			got = append(got, orders...)
			mu.Unlock()
		}
	}()
	return func() []agenda.Order {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

// TestACrashAtAnyStepLosesNoRunAndMakesNoSecondRunID kills a replica before and after each of its saves, starts another on the same
// store, and asserts that every partition gets its order, with one run id over both lives as long as it did not begin.
func TestACrashAtAnyStepLosesNoRunAndMakesNoSecondRunID(t *testing.T) {
	for step := 1; step <= 6; step++ {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("save %d, before %v", step, before), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { crash(t, step, before) })
			})
		}
	}
}

func crash(t *testing.T, step int, before bool) {
	redis := redisstore.New(storetest.Embedded(t))
	store := &mortal{Store: redis, dieAt: step, before: before}
	first := owner.New(store, truth{}, nil)
	hello := owner.Hello{Computer: "c1", BootID: "boot", Slots: 2}
	stream, err := first.Open(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	got := received(stream)
	begun, tokens := map[string]bool{}, uint64(0)
	bang := func(owners *owner.Owners, n uint64) {
		for i := range 3 {
			owners.Deliver("c1", agenda.Wanted{
				Partition: fmt.Sprintf("p%d", i), AllocationID: fmt.Sprintf("t1.a%d", i), Generation: agenda.Generation{Epoch: 1, Number: n + 1},
				Cause: agenda.FromBang, At: time.Now(), Bang: agenda.Bang{ID: fmt.Sprintf("t1.b%d", n), Number: n, At: time.Now()},
			})
		}
	}
	begin := func(owners *owner.Owners, o agenda.Order) {
		tokens++
		begun[o.RunID] = true
		owners.Deliver("c1", agenda.Begun{
			Partition: o.Partition, AllocationID: o.AllocationID, RunSeen: agenda.RunSeen{RunID: o.RunID, Token: tokens, Generation: agenda.Generation{Epoch: 1, Number: 1}},
		})
		synctest.Wait()
	}
	for i, o := range got() {
		if i == 0 {
			begin(first, o)
		}
	}
	bang(first, 1)
	synctest.Wait()
	time.Sleep(6 * time.Second) // what did not begin is handed over again
	lives := got()

	// The process is dead: nothing of it reaches the store any more.
	store.mu.Lock()
	store.dead = true
	store.mu.Unlock()
	if err := first.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}

	second := owner.New(redis, truth{}, nil)
	defer func() {
		if err := second.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	}()
	var running []string
	for id := range begun {
		running = append(running, id)
	}
	hello.Running = running
	if stream, err = second.Open(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	got = received(stream)
	bang(second, 1) // the feed again, or the reading
	seen := 0
	for range 10 {
		orders := got()
		for _, o := range orders[seen:] {
			lives = append(lives, o)
			if !begun[o.RunID] {
				begin(second, o)
				second.Deliver("c1", agenda.Reported{
					Partition: o.Partition, AllocationID: o.AllocationID, Token: tokens, Generation: agenda.Generation{Epoch: 1, Number: 2},
					RunEnded: agenda.RunEnded{RunID: o.RunID, Success: true},
				})
			}
		}
		seen = len(orders)
		for id := range begun { // the run that had begun in the first life
			for _, o := range lives {
				if o.RunID == id {
					second.Deliver("c1", agenda.Reported{
						Partition: o.Partition, AllocationID: o.AllocationID, Token: 1, Generation: agenda.Generation{Epoch: 1, Number: 1},
						RunEnded: agenda.RunEnded{RunID: id, Success: true},
					})
				}
			}
		}
		synctest.Wait()
	}
	ids := map[string]map[string]bool{}
	for _, o := range lives {
		if ids[o.Partition] == nil {
			ids[o.Partition] = map[string]bool{}
		}
		ids[o.Partition][o.RunID] = true
	}
	for i := range 3 {
		p := fmt.Sprintf("p%d", i)
		if len(ids[p]) == 0 {
			t.Errorf("%s is wanted and was never ordered", p)
		}
	}
	// The partition whose run began before the bang is due once more; the others had one occasion.
	total := 0
	for _, of := range ids {
		total += len(of)
	}
	if total > 4 {
		t.Errorf("%d run ids for four occasions: %v", total, ids)
	}
	if err := second.Look(t.Context(), "c1", func(a *agenda.Agenda, _ time.Time) error { return a.Check() }); err != nil {
		t.Error(err)
	}
}

// TestANodeOfAnotherReplicaFencesThisOne says that the older replica's stream ends when it learns that its session is over.
func TestANodeOfAnotherReplicaFencesThisOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis := redisstore.New(storetest.Embedded(t))
		one, two := owner.New(redis, truth{}, nil), owner.New(redis, truth{}, nil)
		older, err := one.Open(t.Context(), owner.Hello{Computer: "c1", Slots: 2})
		if err != nil {
			t.Fatal(err)
		}
		first, err := older.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		newer, err := two.Open(t.Context(), owner.Hello{Computer: "c1", Slots: 2})
		if err != nil {
			t.Fatal(err)
		}
		second, err := newer.Next(t.Context())
		if err != nil || second[0].RunID != first[0].RunID || newer.Session() <= older.Session() {
			t.Errorf("handed over %v, then %v (%v)", first, second, err)
		}
		one.CheckSessions()
		if _, err := older.Next(t.Context()); !errors.Is(err, owner.ErrSuperseded) {
			t.Errorf("the older stream ended with %v", err)
		}
		// What belongs to the other replica is not changed here.
		err = one.Do(t.Context(), "c1", func(*agenda.Agenda, time.Time) ([]agenda.Event, error) { return []agenda.Event{agenda.Pause{}}, nil })
		if !errors.Is(err, owner.ErrElsewhere) {
			t.Errorf("pause at the wrong replica: %v", err)
		}
		for _, o := range []*owner.Owners{one, two} {
			if err := o.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestAnOverfullMailboxReadsTheTruth says that nothing is lost when events come faster than they can be saved.
func TestAnOverfullMailboxReadsTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owners := owner.New(redisstore.New(storetest.Embedded(t)), truth{}, nil)
		stream, err := owners.Open(t.Context(), owner.Hello{Computer: "c1", Slots: 3})
		if err != nil {
			t.Fatal(err)
		}
		events := make([]agenda.Event, owner.MailboxSize+1)
		for i := range events {
			events[i] = agenda.Resume{}
		}
		owners.Deliver("c1", events...)
		orders, err := stream.Next(t.Context())
		if err != nil || len(orders) != 3 {
			t.Errorf("handed over %v, %v", orders, err)
		}
		stream.Close()
		if owners.Has("c1") {
			t.Error("a closed stream still owns its computer")
		}
		if err := owners.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
