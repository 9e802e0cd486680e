package redisstore

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/svc-master/fleet"
)

// What a convergence concerns is known to every replica: a bang on a scope that it was already satisfied for joins it, and takes nothing from the quota.
func TestTheScopesOfAConvergenceAreStored(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ref := fleet.BangRef{Number: 3, Generation: fleet.Generation{Epoch: 1, Number: 7}, At: at}
	open := &fleet.Convergence{
		ID: "tscope.c1", Number: 1, TreeID: "tscope", Title: "x", State: fleet.Open, BangID: "tscope.b1", Origin: fleet.OriginPromise, Source: "p", OpenedAt: at,
		Joined: 1, Satisfied: 1, Whole: true, Origins: []string{"tscope.i2", "tscope.i3"},
		Awaiting: []fleet.Awaiting{{Instance: "tscope.i1", Current: fleet.Group{Count: 1, Generation: ref.Generation, First: []fleet.BangRef{ref}}}},
	}
	if back := convergenceOf("tscope", convergenceRecord(open)); !reflect.DeepEqual(back, open) {
		t.Errorf("stored\n%+v\nread\n%+v", open, back)
	}
}

// An ended convergence tells its members as they were at its end, on every replica.
func TestAnEndedConvergenceKeepsItsMembers(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		plant(t, s, "tended")
		change(t, s, bangUnder("tended", "k", nil))
		var closed *fleet.Convergence
		done := change(t, s, Change{Tree: "tended", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.Abandon(fleet.Abandon{}, now)
			return nil, fx, err
		}})
		closed = done.Closed
		read, err := begin(t, s.redis, Limits{}).EndedConvergence(t.Context(), closed.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(read.Members) != 1 || read.Members[0].Settled || !reflect.DeepEqual(read.Members, closed.Members) || !read.Whole {
			t.Errorf("ended with\n%+v\nread\n%+v", closed.Members, read.Members)
		}
	})
}
