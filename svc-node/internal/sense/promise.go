package sense

import (
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// list reads the promises of a partition: those of kinds that this node senses, with what was learned of them.
func (m *Manager) list(directory partition.Directory) (promises []sensor.Promise, err error) {
	err = directory.User.Do(func() (err error) {
		promises, err = sensor.Promises(directory.Path)
		return err
	})
	if err != nil {
		return nil, err
	}
	chooser, chooses := m.s.Sensor.(interface{ Senses(typev1.PromiseKind) bool })
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := promises[:0]
	for _, p := range promises {
		if chooses && !chooser.Senses(p.Kind) {
			continue
		}
		if t, ok := m.traits[traitsKey{directory.Name, p.Name}]; ok {
			p = p.With(t)
		}
		kept = append(kept, p)
	}
	return kept, nil
}

type traitsKey struct{ partition, promise string }

// learned takes what a promise says of itself when it is executed: from now on it has its own period.
func (m *Manager) learned(partition, promise string, t sensor.Traits) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := traitsKey{partition, promise}
	if known, ok := m.traits[key]; ok && known == t {
		return
	}
	m.traits[key] = t
	w := m.watched[partition]
	if w == nil {
		return
	}
	for i := range w.promises {
		if p := &w.promises[i]; p.Name == promise {
			*p = p.With(t)
			m.due.drop(partition, promise)
			m.due.add(partition, w.allocationID, *p, time.Now())
			m.signal()
		}
	}
}

// forgetTraits drops what was learned of a partition's promises. The lock is held.
func (m *Manager) forgetTraits(partition string) {
	for key := range m.traits {
		if key.partition == partition {
			delete(m.traits, key)
		}
	}
}

// kindName is a kind as spans and metrics name it.
func kindName(kind typev1.PromiseKind) string {
	switch kind {
	case sensor.KindExecutable:
		return conv.KindExecutable
	case sensor.KindBuiltin:
		return conv.KindBuiltin
	}
	return conv.KindPlugin
}
