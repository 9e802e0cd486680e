package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vow-os/vow/svc-node/supervise"
)

const (
	// LogBytes bounds the output of a process, as SlapOS does.
	LogBytes = 20 << 20
	// LogKeep is the number of older files.
	LogKeep = 1
	// hashed is the size up to which the content of an executable is hashed; a larger one is known by size and time of
	// change. Wrappers that profiles write have some hundred bytes.
	hashed = 4 << 20
)

// Revisions remembers what executables hash to, so that a run that changes nothing reads none of them.
type Revisions struct {
	mu    sync.Mutex // never held while anything is read
	known map[string]revision
}

type revision struct {
	size    int64
	changed time.Time
	inode   uint64
	hash    string
}

// NewRevisions makes an empty memory.
func NewRevisions() *Revisions { return &Revisions{known: map[string]revision{}} }

// Processes are the executables of etc/service, etc/services and etc/run, as the supervisor takes them, by folder and
// name. One name in two folders is an error, since a process is known by its name.
func (d Directory) Processes(revisions *Revisions) (processes []supervise.Process, err error) {
	err = d.User.Do(func() (err error) {
		processes, err = d.processes(revisions)
		return err
	})
	return processes, err
}

func (d Directory) processes(revisions *Revisions) ([]supervise.Process, error) {
	var processes []supervise.Process
	from := map[string]string{}
	env := d.Environment()
	for _, folder := range []string{"etc/service", "etc/services", "etc/run"} {
		entries, err := os.ReadDir(filepath.Join(d.Path, folder))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the processes of %s: %w", d.Name, err)
		}
		for _, entry := range entries {
			path := filepath.Join(d.Path, folder, entry.Name())
			info, err := os.Stat(path)
			// A link to nowhere is a service whose program is gone: the supervisor tells, and starts it when it comes back.
			lost := errors.Is(err, fs.ErrNotExist) && entry.Type()&fs.ModeSymlink != 0
			if strings.HasPrefix(entry.Name(), ".") || !lost && (err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
				continue
			}
			if other, taken := from[entry.Name()]; taken {
				return nil, fmt.Errorf("cannot start %s/%s: %s/%s has the same name", folder, entry.Name(), other, entry.Name())
			}
			from[entry.Name()] = folder
			hash := "a link to nowhere"
			if !lost {
				if hash, err = revisions.of(path, info); err != nil {
					return nil, fmt.Errorf("cannot read %s/%s of %s: %w", folder, entry.Name(), d.Name, err)
				}
			}
			p := supervise.Process{
				Key:  supervise.Key{Partition: d.Name, Name: entry.Name()},
				Kind: supervise.Service, Watched: true,
				Path: path, Dir: d.Path, Env: env, Account: d.User.Account(), Revision: hash,
				Log: supervise.Log{Path: d.LogPath(entry.Name()), MaxBytes: LogBytes, Keep: LogKeep},
			}
			if folder == "etc/run" {
				p.Kind, p.Watched = supervise.Run, false // docs/rules.md, watchdog: never for etc/run
			}
			processes = append(processes, p)
		}
	}
	return processes, nil
}

// of is a short hash of the content of an executable.
func (r *Revisions) of(path string, info fs.FileInfo) (string, error) {
	now := revision{size: info.Size(), changed: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		now.inode = stat.Ino
	}
	r.mu.Lock()
	was, ok := r.known[path]
	r.mu.Unlock()
	if ok && was.size == now.size && was.inode == now.inode && was.changed.Equal(now.changed) {
		return was.hash, nil
	}
	sum := sha256.New()
	if info.Size() > hashed {
		fmt.Fprintf(sum, "%d %d", info.Size(), info.ModTime().UnixNano())
	} else {
		// A named pipe that took its place must not block us.
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // an executable of the partition
		if err != nil {
			return "", err
		}
		defer f.Close() // only read from
		if _, err := io.Copy(sum, io.LimitReader(f, hashed)); err != nil {
			return "", err
		}
	}
	now.hash = hex.EncodeToString(sum.Sum(nil)[:12])
	r.mu.Lock()
	if len(r.known) > supervise.MaxUnits {
		r.known = map[string]revision{} // paths of partitions long gone; what is in use is read again once
	}
	r.known[path] = now
	r.mu.Unlock()
	return now.hash, nil
}
