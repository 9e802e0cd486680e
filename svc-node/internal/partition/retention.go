package partition

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/atomicfile"
)

// Files of the retention of a partition's content, as SlapOS names and writes them: days, and seconds since 1970.
const (
	retentionDelay = ".slapos-retention-lock-delay"
	retentionDate  = ".slapos-retention-lock-date"
	// maxNumber bounds such a file in bytes.
	maxNumber = 64
)

// FreezeRetention notes how long the content is kept after the instance is destroyed. The first install says it; later ones change nothing.
func (d Directory) FreezeRetention(delay time.Duration) error {
	return d.User.Do(func() error {
		path := filepath.Join(d.Path, retentionDelay)
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		return atomicfile.Write(path, []byte(strconv.FormatFloat(delay.Hours()/24, 'f', -1, 64)), 0o640)
	})
}

// RetainedUntil is until when the content of a destroyed instance is kept; zero = it is not. The first call fixes it, from now. A file that says no number
// is written again from delay, which is what svc-master says: who spoils it neither shortens nor prolongs what was promised.
func (d Directory) RetainedUntil(now time.Time, delay time.Duration) (until time.Time, err error) {
	if _, err := os.Lstat(d.Path); errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	err = d.User.Do(func() error {
		until, err = d.retainedUntil(now, delay)
		return err
	})
	return until, err
}

func (d Directory) retainedUntil(now time.Time, delay time.Duration) (time.Time, error) {
	if _, err := os.Lstat(filepath.Join(d.Path, ".slapgrid")); errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil // nothing was ever installed here, or it is removed already
	}
	days, err := d.number(retentionDelay)
	if err != nil || days < 0 || days > 10*366 {
		days = delay.Hours() / 24
		if err := atomicfile.Write(filepath.Join(d.Path, retentionDelay), []byte(strconv.FormatFloat(days, 'f', -1, 64)), 0o640); err != nil {
			return time.Time{}, err
		}
	}
	if days == 0 {
		return time.Time{}, nil
	}
	latest := now.Add(time.Duration(days * 24 * float64(time.Hour)))
	seconds, err := d.number(retentionDate)
	if at := time.UnixMicro(int64(seconds * 1e6)); err == nil && !at.After(latest) { // later than that it can only be by a clock that was wrong
		return at, nil
	}
	latest = latest.Truncate(time.Microsecond)
	text := strconv.FormatFloat(float64(latest.UnixMicro())/1e6, 'f', 6, 64)
	return latest, atomicfile.Synced(filepath.Join(d.Path, retentionDate), []byte(text), 0o640)
}

// number reads a small file with one number, and follows no link.
func (d Directory) number(name string) (float64, error) {
	f, err := os.OpenFile(filepath.Join(d.Path, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read from
	content, err := io.ReadAll(io.LimitReader(f, maxNumber))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(string(content)), 64)
	if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
		err = fmt.Errorf("cannot use %q as a number", content)
	}
	return n, err
}
