package supervisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/supervise"
)

// openOutput opens the file that takes a process's output, rotated if it has grown too large, as the process's user: what
// is at the path, and on the way to it, is as that user made it.
func openOutput(p supervise.Process) (file *os.File, err error) {
	if p.Log.Path == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	err = privilege.Of(p.Account).Do(func() (err error) {
		file, err = openLog(p)
		return err
	})
	return file, err
}

func openLog(p supervise.Process) (*os.File, error) {
	if tooLarge(p.Log) {
		if err := shift(p.Log); err != nil {
			return nil, err
		}
		if p.Log.Keep > 0 {
			if err := os.Rename(p.Log.Path, rotated(p.Log, 1)); err != nil {
				return nil, err
			}
		} else if err := os.Truncate(p.Log.Path, 0); err != nil {
			return nil, err
		}
	}
	// Not blocking, since opening a named pipe waits for its reader; a file knows no difference.
	const mode = os.O_APPEND | os.O_WRONLY | syscall.O_NOFOLLOW | syscall.O_CLOEXEC | syscall.O_NONBLOCK
	// At a restart it is there, and opening it then waits for no lock of its folder, behind which a busy disk may be.
	file, err := os.OpenFile(p.Log.Path, mode, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return os.OpenFile(p.Log.Path, mode|os.O_CREATE|os.O_EXCL, 0o640)
	}
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("cannot write to %s: it is not a file", p.Log.Path), file.Close())
	}
	return file, nil
}

func tooLarge(log supervise.Log) bool {
	info, err := os.Lstat(log.Path)
	return err == nil && info.Mode().IsRegular() && log.MaxBytes > 0 && info.Size() >= log.MaxBytes
}

func rotated(log supervise.Log, n int) string { return log.Path + "." + strconv.Itoa(n) }

// shift makes room for a new path.1.
func shift(log supervise.Log) error {
	for n := log.Keep - 1; n >= 1; n-- {
		if err := os.Rename(rotated(log, n), rotated(log, n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rotate empties the file of a running process, which keeps it open for appending, after copying it to path.1. What the
// process writes between the copy's last read and the truncation is lost; renaming would lose nothing but needs the
// process to open its output again, which services do not.
func rotate(log supervise.Log) error {
	if !tooLarge(log) {
		return nil
	}
	file, err := os.OpenFile(log.Path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot rotate %s: %w", log.Path, err)
	}
	defer file.Close()
	if log.Keep > 0 {
		if err := shift(log); err != nil {
			return fmt.Errorf("cannot rotate %s: %w", log.Path, err)
		}
		_ = os.Remove(rotated(log, 1)) // Keep = 1: shift moved nothing
		kept, err := os.OpenFile(rotated(log, 1), os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o640)
		if err != nil {
			return fmt.Errorf("cannot rotate %s: %w", log.Path, err)
		}
		_, err = io.Copy(kept, file)
		if err = errors.Join(err, kept.Close()); err != nil {
			return fmt.Errorf("cannot rotate %s: %w", log.Path, err)
		}
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("cannot rotate %s: %w", log.Path, err)
	}
	return nil
}
