package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockName is locked by whoever changes the software root.
const lockName = ".lock"

var errLocked = errors.New("another process installs into the software root")

// lock waits until nobody else changes the software root, in this process or another, and returns what ends the lock. The
// kernel ends it with the process.
func (r *Root) lock(ctx context.Context) (unlock func(), err error) {
	unlock, err = r.tryLock()
	if !errors.Is(err, errLocked) {
		return unlock, err
	}
	type locked struct {
		unlock func()
		err    error
	}
	got := make(chan locked, 1)
	go func() { // ends when the other ends
		unlock, err := r.flock(unix.LOCK_EX)
		got <- locked{unlock, err}
	}()
	select {
	case l := <-got:
		return l.unlock, l.err
	case <-ctx.Done():
		go func() {
			if l := <-got; l.err == nil {
				l.unlock()
			}
		}()
		return nil, ctx.Err()
	}
}

// tryLock is lock that fails with errLocked instead of waiting.
func (r *Root) tryLock() (unlock func(), err error) { return r.flock(unix.LOCK_EX | unix.LOCK_NB) }

func (r *Root) flock(how int) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(r.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the software root: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how) //nolint:gosec // a descriptor
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		_ = f.Close() // it was not written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("cannot lock the software root: %w", err)
	}
}
