package redisstore_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

var at = time.Date(2026, 1, 1, 12, 0, 0, 123456789, time.UTC)

// full is an entry with every exported field set.
func full(partition string) *agenda.Entry {
	g := func(n uint64) agenda.Generation { return agenda.Generation{Epoch: 2, Number: n} }
	e := &agenda.Entry{
		Partition: partition, AllocationID: "t1.a1", InstanceID: "t1.i1", TreeID: "t1", Title: "database", Period: time.Hour,
		Wanted: g(9), BangWanted: g(8), Changed: g(7), Answered: g(6), Settled: g(5),
		Bangs: []agenda.Bang{{
			ID: "t1.b3", Number: 3, At: at, Generation: g(8), Targets: 12,
			Trace: agenda.Trace{Traceparent: "p", Tracestate: "s", Baggage: "b"}, FanOut: agenda.Trace{Traceparent: "q"},
		}},
		Cancelled: g(4), Pause: agenda.Paused{Generation: g(3), Until: at.Add(time.Hour), At: at, Reason: "new disk", By: "ann@desk"},
		FirstBang: 2, LastBang: 3, Requests: []string{"r1", "r2"}, State: agenda.Ordered,
		Run: agenda.Run{
			ID: "run", Cause: agenda.FromBang, Due: at, Ordered: at.Add(time.Second), Handed: 2, Began: at.Add(2 * time.Second), Generation: g(6),
			Trace: agenda.Trace{Traceparent: "r"},
		},
		Spare: "spare", Epoch: 2, Token: 44, Attempt: 3, ErrorType: "promise", Result: "failure", LatestRun: "latest",
		LatestSeen: at.Add(3 * time.Second), Ran: at.Add(4 * time.Second), Learnt: at.Add(5 * time.Second),
	}
	for c := agenda.Manual; c <= agenda.Periodicity; c++ {
		e.Due[c] = at.Add(time.Duration(c) * time.Minute)
	}
	return e
}

// TestEveryFieldOfAnEntryIsStored fails when a field is added to Entry and not to the record.
func TestEveryFieldOfAnEntryIsStored(t *testing.T) {
	v := reflect.ValueOf(*full("p"))
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() && v.Field(i).IsZero() {
			t.Errorf("the test does not set %s", field.Name)
		}
	}
	s := redisstore.New(storetest.Embedded(t))
	opened, err := s.Open(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), "c1", opened.Session, nil, []*agenda.Entry{full("p")}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load(t.Context(), "c1")
	if err != nil || len(got.Entries) != 1 {
		t.Fatalf("loaded %v, %v", got, err)
	}
	if want := full("p"); !reflect.DeepEqual(got.Entries[0], want) {
		t.Errorf("stored\n%+v\nloaded\n%+v", want, got.Entries[0])
	}
}

// TestARecordHasNothingOfTheOneBeforeIt stores entries one after the other: the memory of a record is used again.
func TestARecordHasNothingOfTheOneBeforeIt(t *testing.T) {
	s := redisstore.New(storetest.Embedded(t))
	opened, err := s.Open(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	bare := func(partition string) *agenda.Entry {
		e := &agenda.Entry{Partition: partition, Period: 90*time.Minute + time.Nanosecond}
		e.Due[agenda.Periodicity] = at
		return e
	}
	most := full("p2")
	for n := range uint64(agenda.MaxBangs - 1) {
		most.Bangs = append(most.Bangs, agenda.Bang{
			ID: fmt.Sprint("t1.b", 9+n), Number: 9 + n, At: at, Generation: agenda.Generation{Epoch: 2, Number: 9 + n}, Trace: agenda.Trace{Traceparent: "p"}, FanOut: agenda.Trace{Traceparent: "q"},
		})
	}
	want := []*agenda.Entry{full("p1"), most, bare("p3"), full("p4"), bare("p5")}
	for _, e := range want { // each by itself: one page after the other
		if err := s.Save(t.Context(), "c1", opened.Session, nil, []*agenda.Entry{e}, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Load(t.Context(), "c1")
	if err != nil || len(got.Entries) != len(want) {
		t.Fatalf("loaded %v, %v", got, err)
	}
	for i := range want {
		if !reflect.DeepEqual(got.Entries[i], want[i]) {
			t.Errorf("stored\n%+v\nloaded\n%+v", want[i], got.Entries[i])
		}
	}
}

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) {
		s := redisstore.New(redis)
		ctx := t.Context()

		t.Run("what was never opened is empty", func(t *testing.T) {
			got, err := s.Load(ctx, "nobody")
			if err != nil || got.Session != 0 || len(got.Entries) != 0 {
				t.Errorf("loaded %v, %v", got, err)
			}
		})
		t.Run("each opening raises the session and fences the one before", func(t *testing.T) {
			first, err := s.Open(ctx, "c1")
			if err != nil {
				t.Fatal(err)
			}
			head := &redisstore.Head{BootID: "boot", Slots: 4, Pause: agenda.Paused{Until: at.Add(time.Hour), At: at, Reason: "moving", By: "ann"}, Connected: true}
			if err := s.Save(ctx, "c1", first.Session, head, []*agenda.Entry{full("p1"), full("p2")}, nil); err != nil {
				t.Fatal(err)
			}
			second, err := s.Open(ctx, "c1")
			if err != nil {
				t.Fatal(err)
			}
			if second.Session <= first.Session || second.Head != *head || len(second.Entries) != 2 {
				t.Errorf("opened %v, then %v", first, second)
			}
			if age := time.Since(second.Now).Abs(); age > time.Minute {
				t.Errorf("the store's clock is %s away", age)
			}
			err = s.Save(ctx, "c1", first.Session, &redisstore.Head{}, []*agenda.Entry{full("p3")}, []string{"p1"})
			if !errors.Is(err, redisstore.ErrFenced) {
				t.Errorf("a save of the older session: %v", err)
			}
			if err := s.Save(ctx, "c1", first.Session, nil, nil, nil); !errors.Is(err, redisstore.ErrFenced) {
				t.Errorf("the older session asks whether it is current: %v", err)
			}
			got, err := s.Load(ctx, "c1")
			if err != nil || len(got.Entries) != 2 || got.Head != *head || got.Session != second.Session {
				t.Errorf("after a fenced save: %v, %v", got, err)
			}
			if err := s.Save(ctx, "c1", second.Session, nil, nil, []string{"p1"}); err != nil {
				t.Fatal(err)
			}
			if got, _ := s.Load(ctx, "c1"); len(got.Entries) != 1 || got.Entries[0].Partition != "p2" {
				t.Errorf("after a removal: %v", got.Entries)
			}
		})
		t.Run("more than a script's bound is saved by several", func(t *testing.T) {
			opened, err := s.Open(ctx, "big")
			if err != nil {
				t.Fatal(err)
			}
			var entries []*agenda.Entry
			var names []string
			for i := range 1100 {
				names = append(names, fmt.Sprintf("slappart%04d", i))
				entries = append(entries, full(names[i]))
			}
			if err := s.Save(ctx, "big", opened.Session, &redisstore.Head{Slots: 1}, entries, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Load(ctx, "big"); err != nil || len(got.Entries) != 1100 || len(got.Broken) != 0 {
				t.Fatalf("loaded %d entries, %d broken, %v", len(got.Entries), len(got.Broken), err)
			}
			if err := s.Save(ctx, "big", opened.Session, nil, entries[:10], names[10:]); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Load(ctx, "big"); err != nil || len(got.Entries) != 10 {
				t.Errorf("loaded %d entries, %v", len(got.Entries), err)
			}
		})
		t.Run("a record that cannot be read is left out and named", func(t *testing.T) {
			opened, err := s.Open(ctx, "c3")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Save(ctx, "c3", opened.Session, nil, []*agenda.Entry{full("good")}, nil); err != nil {
				t.Fatal(err)
			}
			if err := redis.Redis().HSet(ctx, "{c:c3}agenda", "bad", "\xff\xff", "other", "").Err(); err != nil {
				t.Fatal(err)
			}
			got, err := s.Load(ctx, "c3")
			if err != nil || len(got.Entries) != 1 || !reflect.DeepEqual(got.Broken, []string{"bad", "other"}) {
				t.Errorf("loaded %v, broken %v, %v", got.Entries, got.Broken, err)
			}
		})
		t.Run("computers are listed", func(t *testing.T) {
			got, err := s.Computers(ctx)
			if want := []string{"big", "c1", "c3"}; err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("computers %v, %v", got, err)
			}
		})
	})
}
