package senselog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/atomicfile"
)

const (
	// Kept is how many groups of a promise are held: ten times the default window of an executable (3/3), and the
	// widest window of the promise plugins in use (10/10) three times over.
	Kept = 30
	// MaxFile is how many bytes a log may grow by until it is rewritten with what is held: rewriting costs no more than the
	// writing did.
	MaxFile = 1 << 20
	// MaxWindow bounds what is held of a promise in bytes, beyond Least groups: a thousand promises that say 5000 characters
	// each time hold 64 MB, not 150.
	MaxWindow = 64 << 10
	// Least is how many groups of a promise are held whatever their size: the widest window of the promise plugins in use.
	Least = 10
	// Skipped is how far sequences jump after a boot: the kernel writes a file back within 30 s, in which a promise is
	// sensed at most 30 s / 50 ms = 600 times.
	Skipped = 1000
	// Retry is how long a disk that took no group is left alone.
	Retry = 10 * time.Second
	// maxGroup bounds one record in bytes: 100 entries of 20,000 bytes.
	maxGroup = 4 << 20
	suffix   = ".log"
)

// Log is the logs of all allocations of a node. It may be used by several goroutines.
type Log struct {
	dir    string
	failed func()

	mu          sync.Mutex // held while a file is written: callers wait for the disk, never for a network
	allocations map[string]*allocation
	rebooted    bool
}

type allocation struct {
	file *os.File
	// size is the file's, base what it was when it was last rewritten.
	size, base int64
	// lacks says that the file lacks groups that are held, because the disk did not take them; retry is when it is tried again.
	lacks    bool
	retry    time.Time
	promises map[string]*window
}

type window struct {
	last   uint64
	groups []*typev1.SenseGroup
	bytes  int // what the groups are
}

// Open makes the folder if need be. rebooted says that the machine started since the log was last written; failed is called
// when the disk does not take a group, and must not wait.
func Open(dir string, rebooted bool, failed func()) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep sense groups: %w", err)
	}
	return &Log{dir: dir, rebooted: rebooted, failed: failed, allocations: map[string]*allocation{}}, nil
}

// Append numbers a group and adds it. A promise that the log does not know is counted from the milliseconds since 1970: should another machine, or another
// disk, have sensed it under this allocation before, its numbers were lower, and svc-promise, which ignores what is not newer, hears the new ones. The group is not to be changed afterwards.
func (l *Log) Append(allocationID string, g *typev1.SenseGroup) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.load(allocationID)
	if err != nil {
		return err
	}
	w := a.window(g.GetPromise())
	if w.last == 0 {
		w.last = uint64(max(0, g.GetAt().AsTime().UnixMilli()))
	}
	w.last++
	g.Sequence, g.Previous = w.last, w.newest()
	w.add(g)
	if a.lacks {
		if now := time.Now(); now.After(a.retry) && l.rewrite(allocationID, a) != nil {
			a.retry = now.Add(Retry) // it was told when it began
		}
		return nil
	}
	var record bytes.Buffer
	if _, err := protodelim.MarshalTo(&record, &storev1.NodeGroup{Group: g}); err != nil {
		return fmt.Errorf("cannot keep a sense group: %w", err)
	}
	if _, err := a.file.Write(record.Bytes()); err != nil {
		// A record that was cut short would hide those after it. Where not even this can be done, the next reader cuts it off.
		_ = a.file.Truncate(a.size)
		l.lacks(a)
		return fmt.Errorf("cannot keep sense groups of %s on the disk; they are held in memory until it takes them: %w", allocationID, err)
	}
	if a.size += int64(record.Len()); a.size > a.base+max(MaxFile, a.base) {
		return l.rewrite(allocationID, a)
	}
	return nil
}

// Groups returns what is held of a promise, oldest first.
func (l *Log) Groups(allocationID, promise string) ([]*typev1.SenseGroup, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.load(allocationID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.window(promise).groups), nil
}

// All returns what is held of an allocation, by promise, oldest first within each.
func (l *Log) All(allocationID string) ([]*typev1.SenseGroup, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.load(allocationID)
	if err != nil {
		return nil, err
	}
	return a.all(), nil
}

// Forget removes the log of an allocation.
func (l *Log) Forget(allocationID string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.allocations[allocationID]; a != nil {
		a.close() // nothing of it is wanted any more
		delete(l.allocations, allocationID)
	}
	if err := os.Remove(l.path(allocationID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the sense groups of %s: %w", allocationID, err)
	}
	return nil
}

// Close closes the files.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, a := range l.allocations {
		if a.file != nil {
			errs = append(errs, a.file.Close())
		}
	}
	l.allocations = map[string]*allocation{}
	return errors.Join(errs...)
}

func (l *Log) path(allocationID string) string {
	return filepath.Join(l.dir, strings.ReplaceAll(allocationID, "/", "_")+suffix)
}

// load reads the log of an allocation when it is first needed.
func (l *Log) load(allocationID string) (*allocation, error) {
	if a := l.allocations[allocationID]; a != nil {
		return a, nil
	}
	a := &allocation{promises: map[string]*window{}}
	file, err := os.OpenFile(l.path(allocationID), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		// A disk that is read-only or full is no reason not to sense: what it has is read, what comes is held.
		l.lacks(a)
		if file, err = os.Open(l.path(allocationID)); err != nil {
			l.allocations[allocationID] = a
			return a, nil //nolint:nilerr // as above
		}
	}
	a.file = file
	reader := bufio.NewReader(file)
	options := protodelim.UnmarshalOptions{MaxSize: maxGroup}
	for {
		record := new(storev1.NodeGroup)
		err := options.UnmarshalFrom(reader, record)
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			// The last record was cut short by a crash. What follows a broken one cannot be found; it is cut off.
			if l.rewrite(allocationID, a) != nil {
				l.lacks(a)
			}
			break
		}
		g := record.GetGroup()
		w := a.window(g.GetPromise())
		w.last = max(w.last, g.GetSequence())
		w.add(g)
	}
	if l.rebooted {
		for _, w := range a.promises {
			w.last += Skipped
		}
	}
	if a.size, err = a.file.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("cannot keep sense groups: %w", err)
	}
	l.allocations[allocationID] = a
	return a, nil
}

// lacks notes that the file lacks groups that are held.
func (l *Log) lacks(a *allocation) {
	a.lacks, a.retry = true, time.Now().Add(Retry)
	l.failed()
}

// rewrite replaces the file by what is held.
func (l *Log) rewrite(allocationID string, a *allocation) error {
	var content bytes.Buffer
	for _, g := range a.all() {
		if _, err := protodelim.MarshalTo(&content, &storev1.NodeGroup{Group: g}); err != nil {
			return fmt.Errorf("cannot keep sense groups: %w", err)
		}
	}
	if err := atomicfile.Write(l.path(allocationID), content.Bytes(), 0o600); err != nil {
		return err
	}
	file, err := os.OpenFile(l.path(allocationID), os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep sense groups: %w", err)
	}
	a.close() // the replaced file
	a.file, a.size, a.base, a.lacks = file, int64(content.Len()), int64(content.Len()), false
	return nil
}

func (a *allocation) close() {
	if a.file != nil {
		_ = a.file.Close() // the caller wants nothing more of it
	}
}

func (a *allocation) window(promise string) *window {
	w := a.promises[promise]
	if w == nil {
		w = &window{}
		a.promises[promise] = w
	}
	return w
}

func (a *allocation) all() []*typev1.SenseGroup {
	names := make([]string, 0, len(a.promises))
	for name := range a.promises {
		names = append(names, name)
	}
	slices.Sort(names)
	var groups []*typev1.SenseGroup
	for _, name := range names {
		groups = append(groups, a.promises[name].groups...)
	}
	return groups
}

// newest is the sequence of the newest group; 0 = there is none.
func (w *window) newest() uint64 {
	if len(w.groups) == 0 {
		return 0
	}
	return w.groups[len(w.groups)-1].GetSequence()
}

// add adds the newest group; the oldest give way.
func (w *window) add(g *typev1.SenseGroup) {
	w.groups = append(w.groups, g)
	w.bytes += proto.Size(g)
	drop := max(0, len(w.groups)-Kept)
	for i := range drop {
		w.bytes -= proto.Size(w.groups[i])
	}
	for len(w.groups)-drop > Least && w.bytes > MaxWindow {
		w.bytes -= proto.Size(w.groups[drop])
		drop++
	}
	if drop > 0 {
		kept := copy(w.groups, w.groups[drop:])
		clear(w.groups[kept:])
		w.groups = w.groups[:kept]
	}
}
