package pythonhost

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// maxScratch is how much of the end of each log a dry sensing sees: far more than a window of 1,000 groups of a line each.
const maxScratch = 1 << 20

// scratch makes a folder, in the system's for temporary files, that stands in for the log folder of a dry sensing: the
// promise finds its history there and may add to it. remove removes it.
func scratch(r sensor.Request) (folder string, remove func(), err error) {
	err = r.User.Do(func() (err error) {
		folder, err = os.MkdirTemp("", "vow-dry-")
		if err != nil {
			return err
		}
		logs := r.LogFolder
		if logs == "" {
			logs = filepath.Join(r.Directory, ".slapgrid", "promise", "log")
		}
		title := strings.TrimSuffix(filepath.Base(r.Promise.Path), filepath.Ext(r.Promise.Path))
		for _, name := range []string{title + ".log", title + ".json.log"} {
			if err := copyEnd(filepath.Join(logs, name), filepath.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	remove = func() {
		_ = r.User.Do(func() error { return os.RemoveAll(folder) }) // what is left is in the folder for temporary files
	}
	if err != nil {
		if folder != "" {
			remove()
		}
		return "", nil, fmt.Errorf("cannot copy its log for a dry run: %w", err)
	}
	return folder, remove, nil
}

// copyEnd copies the last maxScratch bytes of a regular file.
func copyEnd(from, to string) error {
	source, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // as the partition's user
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fs.ErrNotExist) // what is no file has no history
	}
	if _, err := source.Seek(max(0, info.Size()-maxScratch), io.SeekStart); err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(source, maxScratch))
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
