package disk

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// Every is how often the disks are looked at: microseconds each.
	Every = 10 * time.Second
	// Calm is how long a disk must have been good for its going bad to be a matter of its own.
	Calm = time.Hour
	// firstSettle and lastSettle bound how long a disk that went bad again within Calm must be good until it is told.
	firstSettle = time.Minute
	lastSettle  = time.Hour
	// probed is how many bytes a probe writes: a block.
	probed = 4096
)

// Folder is a folder of a disk.
type Folder struct {
	Path string
	// Least is how many bytes must be free for who is not root; 0 = any.
	Least int64
}

// Watch knows whether the disks are good. It may be used by several goroutines.
type Watch struct {
	folders []Folder
	every   time.Duration
	changed func(err error)
	probe   func(folder string) error

	failed chan struct{} // holds one when a write failed

	mu sync.Mutex // never held while a disk is looked at
	// suspicions counts the writes that failed; those up to cleared are over, since a probe succeeded after them.
	suspicions, cleared uint64
	told                error // why they are bad, as it was told; nil = they are good
	// relapses counts how often they went bad within Calm; goodSince is since when they look good after they were bad, zero = they do not, or never were.
	relapses  int
	goodSince time.Time
}

// NewWatch makes a watch of folders; every is how often Run looks, 0 = Every. changed is called by Run alone.
func NewWatch(folders []Folder, every time.Duration, changed func(err error)) *Watch {
	if every == 0 {
		every = Every
	}
	return &Watch{folders: folders, every: every, changed: changed, probe: probe, failed: make(chan struct{}, 1)}
}

// Failed says that a write failed: Run looks at once whether the disk is the reason.
func (w *Watch) Failed() {
	w.mu.Lock()
	w.suspicions++
	w.mu.Unlock()
	select {
	case w.failed <- struct{}{}:
	default:
	}
}

// Check tells why a disk takes nothing, now: it looks at it, and where a write failed it tries one.
func (w *Watch) Check() error {
	_, err := w.check()
	return err
}

// check is Check; suspicions is how many writes had failed before it.
func (w *Watch) check() (suspicions uint64, err error) {
	w.mu.Lock()
	suspicions = w.suspicions
	suspect := suspicions > w.cleared || w.told != nil
	w.mu.Unlock()
	for _, f := range w.folders {
		if err := look(f); err != nil {
			return suspicions, err
		}
	}
	if !suspect {
		return suspicions, nil
	}
	for _, f := range w.folders {
		if err := w.probe(f.Path); err != nil {
			return suspicions, err
		}
	}
	return suspicions, nil
}

// Err is why the disks are bad, as Run knows; nil = they are good.
func (w *Watch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// Run looks at the disks until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		w.tell(time.Now())
		select {
		case <-ticker.C:
		case <-w.failed:
		case <-ctx.Done():
			return nil
		}
	}
}

// tell looks and tells what changed.
func (w *Watch) tell(now time.Time) {
	suspicions, err := w.check()
	if w.judge(suspicions, err, now) {
		w.changed(err)
	}
}

// judge notes how the disks are and says whether that is to be told.
func (w *Watch) judge(suspicions uint64, err error, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		news := w.told == nil
		if news && now.Sub(w.goodSince) < Calm {
			w.relapses++
		} else if news {
			w.relapses = 0
		}
		w.told, w.goodSince = err, time.Time{}
		return news
	}
	w.cleared = suspicions
	if w.told == nil {
		return false
	}
	if w.goodSince.IsZero() {
		w.goodSince = now
	}
	if now.Sub(w.goodSince) < w.settle() {
		return false
	}
	w.told = nil
	return true
}

// settle is how long the disks must be good until it is told.
func (w *Watch) settle() time.Duration {
	if w.relapses == 0 {
		return 0
	}
	return min(firstSettle<<min(w.relapses-1, 10), lastSettle)
}

// look tells why nothing can be written below a folder, as far as the kernel says.
func look(f Folder) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(f.Path, &fs); err != nil {
		return fmt.Errorf("cannot use the disk of %s: %w", f.Path, err)
	}
	const readOnly = 1 // ST_RDONLY
	if fs.Flags&readOnly != 0 {
		return fmt.Errorf("cannot write to %s: its disk is read-only", f.Path)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < f.Least || free == 0 {
		return fmt.Errorf("cannot write to %s: its disk has %d MiB free, at least %d are wanted", f.Path, free>>20, f.Least>>20)
	}
	if fs.Files > 0 && fs.Ffree == 0 { // some have no number of files
		return fmt.Errorf("cannot write to %s: its disk has no room for another file", f.Path)
	}
	return nil
}

// probe writes a block to a folder as what it must outlive is written, and removes it.
func probe(folder string) (err error) {
	path := filepath.Join(folder, ".new-probe-"+rand.Text()[:8])
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write to %s: %w", folder, err)
	}
	defer func() {
		if removeErr := os.Remove(path); err == nil && removeErr != nil {
			err = fmt.Errorf("cannot write to %s: %w", folder, removeErr)
		}
	}()
	_, err = f.Write(make([]byte, probed))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("cannot write to %s: %w", folder, err)
	}
	return nil
}
