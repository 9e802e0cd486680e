package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// lockName is locked by whoever changes the software root.
const lockName = ".lock"

var errLocked = errors.New("another process installs into the software root")

// lock waits until nobody else changes the software root, in this process or another, and returns what ends the lock. The
// kernel ends it with the process.
func (r *Root) lock(ctx context.Context, u privilege.User) (unlock func(), err error) {
	f, err := r.lockFile(u)
	if err != nil {
		return nil, err
	}
	unlock, err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if !errors.Is(err, errLocked) {
		return unlock, err
	}
	if f, err = r.lockFile(u); err != nil {
		return nil, err
	}
	type locked struct {
		unlock func()
		err    error
	}
	got := make(chan locked, 1)
	go func() { // ends when the other ends
		unlock, err := flock(f, unix.LOCK_EX)
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
func (r *Root) tryLock(u privilege.User) (unlock func(), err error) {
	f, err := r.lockFile(u)
	if err != nil {
		return nil, err
	}
	return flock(f, unix.LOCK_EX|unix.LOCK_NB)
}

func (r *Root) lockFile(u privilege.User) (f *os.File, err error) {
	err = u.Do(func() (err error) {
		f, err = os.OpenFile(filepath.Join(r.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot lock the software root: %w", err)
	}
	return f, nil
}

// flock locks a file, which is closed when that fails.
func flock(f *os.File, how int) (unlock func(), err error) {
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
