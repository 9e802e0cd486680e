package statusfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	// MaxLog is the size in bytes beyond which a log becomes <title>.log.1: some 10,000 lines, two weeks of a two-minute
	// period.
	MaxLog = 1 << 20
	// fileMode and folderMode are those of a partition: its user's and its group's alone.
	fileMode   = 0o640
	folderMode = 0o750
)

// Status is one execution of a promise.
type Status struct {
	// Title is the promise's, Name its file's, Path where that is.
	Title, Name, Path string
	At                time.Time
	Took              time.Duration
	// Number tells executions of one second apart.
	Number  uint64
	Entries []*typev1.LogEntry
	// Anomaly: its own periodicity asked, and Failed and Message are the anomaly detector's; else the test's.
	Anomaly, Failed bool
	Message         string
}

// Writer writes status files. It may be used by several goroutines, one at a time for each promise.
type Writer struct {
	// logs is where logs go; empty = .slapgrid/promise/log of each partition.
	logs string
	mu   sync.Mutex // never held while a file is touched
	last map[key]result
}

type key struct{ directory, title string }

// result is what a result file says but for its times.
type result struct {
	Type    string `json:"type"`
	Failed  bool   `json:"failed"`
	Date    string `json:"date"`
	Message string `json:"message"`
}

// document is a result file.
type document struct {
	Title  string  `json:"title"`
	Name   string  `json:"name"`
	Path   string  `json:"path"`
	Took   float64 `json:"execution-time"`
	Result result  `json:"result"`
}

// NewWriter makes a Writer.
func NewWriter() *Writer { return &Writer{last: map[key]result{}} }

// In has the Writer write logs into a folder, absolute, which it makes as the partition's user; empty changes nothing.
func (w *Writer) In(folder string) *Writer {
	w.logs = folder
	return w
}

// openLogs opens the folder of logs.
func (w *Writer) openLogs(root int) (int, error) {
	if w.logs == "" {
		return folder(root, ".slapgrid", "promise", "log")
	}
	if err := os.MkdirAll(w.logs, folderMode); err != nil {
		return 0, err
	}
	return unix.Open(w.logs, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// Write writes the files of executions in one partition. Each is tried; the first error is returned.
func (w *Writer) Write(directory string, user privilege.User, statuses ...Status) error {
	if len(statuses) == 0 {
		return nil
	}
	var failed error
	err := user.Do(func() error {
		root, err := unix.Open(directory, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer shut(root)
		logs, err := w.openLogs(root)
		if err != nil {
			return err
		}
		defer shut(logs)
		results, err := folder(root, ".slapgrid", "promise", "result")
		if err != nil {
			return err
		}
		defer shut(results)
		for _, s := range statuses {
			if err := errors.Join(appendLog(logs, s), w.keep(results, directory, s)); err != nil && failed == nil {
				failed = fmt.Errorf("of promise %s: %w", s.Title, err)
			}
		}
		return failed
	})
	if err != nil {
		return fmt.Errorf("cannot write the status files of %s: %w", filepath.Base(directory), err)
	}
	return nil
}

// Forget drops what is known of a partition: its results are written anew.
func (w *Writer) Forget(directory string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.last {
		if k.directory == directory {
			delete(w.last, k)
		}
	}
}

// folder opens a folder below a directory, making what is missing. A link is refused.
func folder(root int, names ...string) (int, error) {
	at := root
	for i, name := range names {
		fd, err := unix.Openat(at, name, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			if err = unix.Mkdirat(at, name, folderMode); err == nil || errors.Is(err, unix.EEXIST) {
				fd, err = unix.Openat(at, name, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			}
		}
		if at != root {
			shut(at)
		}
		if err != nil {
			return 0, fmt.Errorf("folder %s: %w", strings.Join(names[:i+1], "/"), err)
		}
		at = fd
	}
	return at, nil
}

// open opens a regular file for writing; anything else that took its place is refused.
func open(folder int, name string, flags int) (*os.File, int64, error) {
	fd, err := unix.Openat(folder, name, flags|unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, fileMode)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT != unix.S_IFREG {
		shut(fd)
		return nil, 0, fmt.Errorf("%s is no regular file", name)
	}
	return os.NewFile(uintptr(fd), name), s.Size, nil //nolint:gosec // a descriptor
}

// appendLog adds the lines of an execution in one write.
func appendLog(folder int, s Status) error {
	name := s.Title + ".log"
	f, size, err := open(folder, name, unix.O_APPEND)
	if err != nil {
		return err
	}
	if size > MaxLog {
		f.Close()
		if err := unix.Renameat(folder, name, folder, name+".1"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if f, _, err = open(folder, name, unix.O_APPEND); err != nil {
			return err
		}
	}
	_, err = f.Write(Lines(s))
	return errors.Join(err, f.Close())
}

// Lines are the lines of an execution as slapos.core writes them: local time, level, transaction, message.
func Lines(s Status) []byte {
	head := s.At.Local().Format("2006-01-02 15:04:05") + " - "
	transaction := " - " + strconv.FormatInt(s.At.Unix(), 10) + "-" + strconv.FormatUint(100+s.Number%900, 10) + " - "
	var lines []byte
	for _, e := range s.Entries {
		lines = append(lines, head...)
		lines = append(lines, strings.TrimPrefix(e.GetLevel().String(), "LOG_LEVEL_")...)
		lines = append(lines, transaction...)
		lines = append(lines, strings.ReplaceAll(strings.TrimRight(e.GetMessage(), "\n"), "\r", "")...)
		lines = append(lines, '\n')
	}
	return lines
}

// keep writes the result if it says something new.
func (w *Writer) keep(folder int, directory string, s Status) error {
	r := result{Type: "Test Result", Failed: s.Failed, Message: s.Message}
	if s.Anomaly {
		r.Type = "Anomaly Result"
	}
	k := key{directory, s.Title}
	w.mu.Lock()
	last, known := w.last[k]
	w.mu.Unlock()
	if known && last == r {
		return nil
	}
	shown := r
	shown.Date = s.At.UTC().Format("2006-01-02T15:04:05+0000")
	content, err := json.Marshal(document{Title: s.Title, Name: s.Name, Path: s.Path, Took: s.Took.Seconds(), Result: shown})
	if err != nil {
		return err
	}
	name := s.Title + ".status.json"
	f, _, err := open(folder, name+".tmp", unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = unix.Renameat(folder, name+".tmp", folder, name)
	}
	if err != nil {
		_ = unix.Unlinkat(folder, name+".tmp", 0)
		return fmt.Errorf("%s: %w", name, err)
	}
	w.mu.Lock()
	w.last[k] = r
	w.mu.Unlock()
	return nil
}

// shut closes a descriptor that nothing was written to.
func shut(fd int) { _ = unix.Close(fd) }
