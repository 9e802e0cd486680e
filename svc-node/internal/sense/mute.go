package sense

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/atomicfile"
)

// mutes is what svc-promise told of muted promises, by allocation; kept on disk, so that a restart without svc-promise honours them too.
type mutes struct {
	path string
	of   map[string][]*promisev1.PromiseMute
}

// loadMutes reads what was told last. A broken file is as good as none: svc-promise tells again.
func loadMutes(path string) (mutes, error) {
	m := mutes{path: path, of: map[string][]*promisev1.PromiseMute{}}
	content, err := os.ReadFile(path)
	if err != nil {
		if path == "" || errors.Is(err, fs.ErrNotExist) {
			return m, nil
		}
		return m, fmt.Errorf("cannot read which promises are muted: %w", err)
	}
	record := &storev1.NodeMutes{}
	if err := proto.Unmarshal(content, record); err != nil {
		return m, fmt.Errorf("cannot read which promises are muted: %w", err)
	}
	for _, a := range record.GetAllocations() {
		m.of[a.GetAllocationId()] = a.GetMutes()
	}
	return m, nil
}

// tell replaces what is known of an allocation; changed says whether that is other than before.
func (m *mutes) tell(a *promisev1.AllocationMutes) (changed bool) {
	was := m.of[a.GetAllocationId()]
	if slices.EqualFunc(was, a.GetMutes(), func(x, y *promisev1.PromiseMute) bool { return proto.Equal(x, y) }) {
		return false
	}
	if m.of[a.GetAllocationId()] = a.GetMutes(); len(a.GetMutes()) == 0 {
		delete(m.of, a.GetAllocationId())
	}
	return true
}

// save writes what is known.
func (m *mutes) save() error {
	if m.path == "" {
		return nil
	}
	record := &storev1.NodeMutes{}
	for allocation, of := range m.of {
		record.Allocations = append(record.Allocations, &promisev1.AllocationMutes{AllocationId: allocation, Mutes: of})
	}
	slices.SortFunc(record.Allocations, func(a, b *promisev1.AllocationMutes) int {
		return cmp.Compare(a.GetAllocationId(), b.GetAllocationId())
	})
	content, err := proto.Marshal(record)
	if err != nil {
		return fmt.Errorf("cannot keep which promises are muted: %w", err)
	}
	return atomicfile.Write(m.path, content, 0o600)
}

// find is the mute of a promise in force at a time; nil = none.
func (m *mutes) find(allocationID, promise string, now time.Time) *typev1.Mute {
	for _, one := range m.of[allocationID] {
		if one.GetPromise() == promise && now.Before(one.GetMute().GetUntil().AsTime()) {
			return one.GetMute()
		}
	}
	return nil
}

// unmute forgets the mutes of an allocation that is gone. The lock is held.
func (m *Manager) unmute(allocationID string) {
	if m.mutes.tell(&promisev1.AllocationMutes{AllocationId: allocationID}) {
		if err := m.mutes.save(); err != nil {
			m.s.Telemetry.Log.Error("the mutes of an allocation that is gone are kept", "allocation", allocationID, "error", err)
		}
	}
}

// muted takes what svc-promise tells of mutes. It is told rarely: a person muted something.
func (m *Manager) muted(ctx context.Context, told []*promisev1.AllocationMutes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := false
	for _, a := range told {
		changed = m.mutes.tell(a) || changed
	}
	if !changed {
		return
	}
	if err := m.mutes.save(); err != nil {
		m.s.Telemetry.Log.ErrorContext(ctx, "mutes are not kept across a restart", "error", err)
	}
}
