package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	// defaultTail is how much of a log is shown when the caller does not say, in bytes.
	defaultTail = 4096
	// chunk is how much one message carries, in bytes.
	chunk = 64 << 10
	// look is how often a followed file is looked at: quick for the eye, nothing for the machine.
	look = 200 * time.Millisecond
)

// tail passes the last bytes of a file on, and with follow what is added, also after the file was rotated. A file that
// does not exist yet is empty.
func tail(ctx context.Context, user privilege.User, path string, bytes int64, follow bool, pass func([]byte) error) error {
	if bytes == 0 {
		bytes = defaultTail
	}
	file, at, err := openLog(user, path, bytes)
	if err != nil {
		return err
	}
	defer func() {
		if file != nil {
			_ = file.Close() // only read from
		}
	}()
	buffer := make([]byte, chunk)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		for file != nil {
			n, err := file.ReadAt(buffer, at)
			if n > 0 {
				at += int64(n)
				if err := pass(buffer[:n:n]); err != nil {
					return err
				}
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("cannot read the output: %w", err)
			}
			if n == 0 {
				break
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if rotated(file, path, at) {
			if file != nil {
				_ = file.Close()
			}
			if file, at, err = openLog(user, path, chunk); err != nil {
				return err
			}
		}
	}
}

// openLog opens a log as the user that may put anything in its place.
func openLog(user privilege.User, path string, bytes int64) (*os.File, int64, error) {
	var file *os.File
	err := user.Do(func() (err error) {
		file, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the file of a process that the caller named
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the output: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.Join(errors.New("cannot read the output: it is not in a file"), file.Close())
	}
	return file, max(0, info.Size()-bytes), nil
}

// rotated tells whether the path is another file by now, or the file is shorter than what was read.
func rotated(file *os.File, path string, at int64) bool {
	now, err := os.Stat(path)
	if err != nil {
		return false // between the two steps of a rotation
	}
	if file == nil {
		return true
	}
	was, err := file.Stat()
	return err != nil || !os.SameFile(was, now) || now.Size() < at
}
