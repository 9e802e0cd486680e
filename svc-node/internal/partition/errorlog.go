package partition

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vow-os/vow/kit/atomicfile"
)

// errorLog is where the error of the latest run is, if it failed, as SlapOS names it.
func (d Directory) errorLog() string { return filepath.Join(d.Path, ".slapgrid-"+d.Name+"-error.log") }

// KeepError keeps the error of a run for whoever looks at the partition; an empty one removes it. A partition without a directory keeps none.
func (d Directory) KeepError(text string) error {
	if _, err := os.Lstat(d.Path); err != nil {
		return nil //nolint:nilerr // there is no partition to keep it in
	}
	if text != "" {
		return d.User.Do(func() error { return atomicfile.Write(d.errorLog(), []byte(text+"\n"), 0o640) })
	}
	if _, err := os.Lstat(d.errorLog()); errors.Is(err, fs.ErrNotExist) {
		return nil // most runs: without a change of user
	}
	return d.User.Do(func() error { return os.Remove(d.errorLog()) })
}
