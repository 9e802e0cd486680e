package notifier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/vow-os/vow/console/notify"
	"github.com/vow-os/vow/kit/atomicfile"
)

// memory is the state in its file, which nobody else has meanwhile.
type memory struct {
	path string
	lock *os.File
}

// open locks the file and reads it; none yet = nothing was told.
func open(path string) (*memory, notify.State, error) {
	var s notify.State
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, s, fmt.Errorf("cannot use --notify-state: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, s, errors.Join(fmt.Errorf("cannot use --notify-state=%s: another console notifies with it: %w", path, err), lock.Close())
	}
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &s)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, s, errors.Join(fmt.Errorf("cannot read --notify-state=%s: %w", path, err), lock.Close())
	}
	return &memory{path, lock}, s, nil
}

// save writes it, whole or not at all, on disk when it returns.
func (m *memory) save(s *notify.State) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("cannot write what was told: %w", err)
	}
	return atomicfile.Synced(m.path, content, 0o600)
}

// close gives the file to the next.
func (m *memory) close() error { return m.lock.Close() }
