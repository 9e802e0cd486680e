package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
)

var at = time.Now().Truncate(time.Hour)

// put merges one group of a promise as a replica does.
func put(t *testing.T, s *redisstore.Store, key redisstore.Key, p history.Point) bool {
	t.Helper()
	loaded, err := s.Load(t.Context(), []redisstore.Wanted{{Key: key, Fields: history.Fields([]history.Point{p}, p.At)}})
	if err != nil {
		t.Fatal(err)
	}
	return save(t, s, loaded[0], p)
}

func save(t *testing.T, s *redisstore.Store, loaded *redisstore.Promise, p history.Point) bool {
	t.Helper()
	criminal := len(history.Crimes(loaded.Record)) > 0
	saved, err := s.Save(t.Context(), []redisstore.Write{{Promise: loaded, Changed: loaded.Merge([]history.Point{p}, p.At), Criminal: criminal}})
	if err != nil {
		t.Fatal(err)
	}
	return saved[0]
}

func point(sequence uint64, failed bool) history.Point {
	return history.Point{
		Sequence: sequence, At: at.Add(time.Duration(sequence) * 5 * time.Minute), Failed: failed, TestFailed: failed, Valued: true, Value: float64(sequence),
		Kind: typev1.PromiseKind_PROMISE_KIND_BUILTIN, Computer: "one", Partition: "slappart0", Message: "says",
	}
}

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, redis *store.Store) {
		s := redisstore.New(redis)
		web := redisstore.Key{Allocation: "t1.a1", Promise: "web"}
		t.Run("what was written is read", func(t *testing.T) {
			for n := uint64(1); n <= 20; n++ {
				if !put(t, s, web, point(n, n%4 == 0)) {
					t.Fatalf("group %d was refused", n)
				}
			}
			p, err := s.History(t.Context(), web)
			if err != nil || p == nil {
				t.Fatalf("history %v, %v", p, err)
			}
			if r := p.Record; r.GetPassed() != 15 || r.GetFailed() != 5 || r.GetComputer() != "one" {
				t.Errorf("record %v", r)
			}
			now := at.Add(2 * time.Hour)
			if points := p.Points(at, now, now); len(points) != 20 || points[0].GetValue() != 1 {
				t.Errorf("points %v", points)
			}
		})
		t.Run("who lost the race is refused and changes nothing", func(t *testing.T) {
			wanted := []redisstore.Wanted{{Key: web, Fields: history.Fields([]history.Point{point(21, true)}, at)}}
			first, err := s.Load(t.Context(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			second, err := s.Load(t.Context(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			if !save(t, s, first[0], point(21, true)) || save(t, s, second[0], point(22, true)) {
				t.Error("both were accepted, or none")
			}
			if p, _ := s.History(t.Context(), web); p.Record.GetVerdict().GetSequence() != 21 {
				t.Errorf("record %v", p.Record)
			}
		})
		t.Run("what is not there is nothing", func(t *testing.T) {
			if p, err := s.History(t.Context(), redisstore.Key{Allocation: "t1.a1", Promise: "nosuch"}); p != nil || err != nil {
				t.Errorf("%v, %v", p, err)
			}
			if all, err := s.Promises(t.Context(), "t9.a9", at); len(all) != 0 || err != nil {
				t.Errorf("%v, %v", all, err)
			}
		})
		t.Run("the promises of an allocation are listed and bounded", func(t *testing.T) {
			for i := range redisstore.MaxPromises + 5 {
				put(t, s, redisstore.Key{Allocation: "t2.a1", Promise: fmt.Sprint("p", i)}, point(uint64(i+1), false))
			}
			all, err := s.Promises(t.Context(), "t2.a1", at)
			if err != nil || len(all) != redisstore.MaxPromises {
				t.Fatalf("%d promises, %v", len(all), err)
			}
			if all, err := s.Promises(t.Context(), "t2.a1", point(1000, false).At); err != nil || len(all) != 6 {
				t.Errorf("%d promises since the 1000th, %v", len(all), err)
			}
		})
		t.Run("crimes are found while they last", func(t *testing.T) {
			bad := redisstore.Key{Allocation: "t3.a1", Promise: "bad"}
			var last history.Point
			for n := uint64(1); n <= 4; n++ {
				last = point(n, true)
				put(t, s, bad, last)
			}
			for allocation, want := range map[string]int{"": 1, "t3.a1": 1, "t1.a1": 0} {
				if found, err := s.Criminals(t.Context(), allocation, last.At); err != nil || len(found) != want {
					t.Errorf("of %q: %d criminals, %v", allocation, len(found), err)
				}
			}
			if found, err := s.Criminals(t.Context(), "", last.At.Add(2*redisstore.CrimeForgotten)); err != nil || len(found) != 0 {
				t.Errorf("long after: %v, %v", found, err)
			}
			put(t, s, bad, point(5, false))
			if found, err := s.Criminals(t.Context(), "", last.At); err != nil || len(found) != 0 {
				t.Errorf("after it passed: %v, %v", found, err)
			}
		})
		t.Run("mutes are kept, ended, and written down", func(t *testing.T) {
			mute := &storev1.PromiseMuteRecord{AllocationId: "t1.a1", Promise: "web", Mute: &typev1.Mute{Until: timestamppb.New(at.Add(time.Hour)), Reason: "known", By: "me", At: timestamppb.New(at)}}
			if v, err := s.MutesVersion(t.Context()); err != nil || v != "" {
				t.Fatalf("version %q, %v", v, err)
			}
			if err := s.Unmute(t.Context(), mute); !errors.Is(err, redisstore.ErrNotMuted) {
				t.Errorf("unmute what is not muted: %v", err)
			}
			if err := s.Mute(t.Context(), mute, nil); err != nil {
				t.Fatal(err)
			}
			all, version, err := s.Mutes(t.Context())
			if err != nil || len(all) != 1 || all[0].GetMute().GetReason() != "known" {
				t.Fatalf("mutes %v, %v", all, err)
			}
			if v, err := s.MutesVersion(t.Context()); err != nil || v != version || v == "" {
				t.Errorf("version %q, want %q, %v", v, version, err)
			}
			if err := s.Unmute(t.Context(), &storev1.PromiseMuteRecord{AllocationId: "t1.a1", Promise: "web", Mute: &typev1.Mute{By: "you"}}); err != nil {
				t.Fatal(err)
			}
			if all, again, err := s.Mutes(t.Context()); err != nil || len(all) != 0 || again == version {
				t.Errorf("mutes %v, version %q, %v", all, again, err)
			}
			acts, err := s.Acts(t.Context())
			if err != nil || len(acts) != 2 || acts[0].GetMute().GetBy() != "you" || acts[1].GetMute().GetBy() != "me" {
				t.Errorf("acts %v, %v", acts, err)
			}
		})
	})
}
