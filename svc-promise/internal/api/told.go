package api

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/svc-promise/internal/mute"
	"github.com/vow-os/vow/svc-promise/internal/window"
)

// told is what a stream's node was told of mutes: those of the allocations that it speaks of, so that it honours them when it decides by itself.
type told struct {
	mutes *mute.Registry
	// of is what was told, by allocation; nil = nothing yet.
	of    map[string][]*promisev1.PromiseMute
	known <-chan struct{} // as it was when everything was told
	fresh []string        // heard of since
}

func newTold(m *mute.Registry) *told {
	return &told{mutes: m, of: map[string][]*promisev1.PromiseMute{}}
}

// heard notes that the node speaks of allocations.
func (t *told) heard(allocations []string) {
	for _, a := range allocations {
		if _, known := t.of[a]; !known && len(t.of) < window.MaxAllocations {
			t.of[a] = nil
			t.fresh = append(t.fresh, a)
		}
	}
}

// current tells whether everything that is known was told.
func (t *told) current() bool { return len(t.fresh) == 0 && t.known == t.mutes.Changed() }

// news is what the node has to be told. Of an allocation that is new, also that nothing is muted: the node may remember a mute that was ended meanwhile.
func (t *told) news(now time.Time) []*promisev1.AllocationMutes {
	var news []*promisev1.AllocationMutes
	changed := t.mutes.Changed()
	if changed != t.known {
		t.known = changed
		for a, was := range t.of {
			if mutes := t.mutes.Allocation(a, now); !slices.Contains(t.fresh, a) && !same(was, mutes) {
				t.of[a] = mutes
				news = append(news, &promisev1.AllocationMutes{AllocationId: a, Mutes: mutes})
			}
		}
	}
	for _, a := range t.fresh {
		t.of[a] = t.mutes.Allocation(a, now)
		news = append(news, &promisev1.AllocationMutes{AllocationId: a, Mutes: t.of[a]})
	}
	t.fresh = nil
	return news
}

func same(a, b []*promisev1.PromiseMute) bool {
	return slices.EqualFunc(a, b, func(x, y *promisev1.PromiseMute) bool { return proto.Equal(x, y) })
}
