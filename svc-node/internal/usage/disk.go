package usage

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Bounds of the walk. A million files of a machine are walked in 50 minutes, for 0.2 % of a core.
const (
	// MaxEntries and MaxWalk are how much of the disk one reading looks at.
	MaxEntries = 20_000
	MaxWalk    = 100 * time.Millisecond
	// Rest is how long a partition that was walked is not walked again.
	Rest = 10 * time.Minute
	// maxFolders is how many folders wait to be walked; those beyond are not counted.
	maxFolders = 100_000
	// chunk is how many entries of a folder are read at once.
	chunk = 256
)

// walk looks at the partitions one after the other, a little at a time. Its memory is the folders that are still to be looked at.
type walk struct {
	found map[string]size
	// under way
	partition string
	device    uint64
	folders   []string
	open      *os.File
	bytes     uint64
}

type size struct {
	bytes uint64
	at    time.Time
}

// step walks on for a while.
func (w *walk) step(tenants []Tenant, now time.Time) {
	held := make(map[string]Tenant, len(tenants))
	for _, t := range tenants {
		held[t.Partition] = t
	}
	if w.found == nil {
		w.found = map[string]size{}
	}
	for name := range w.found {
		if _, ok := held[name]; !ok {
			delete(w.found, name)
		}
	}
	if _, ok := held[w.partition]; w.partition != "" && !ok {
		w.leave()
	}
	entries := 0
	for began := time.Now(); entries < MaxEntries && time.Since(began) < MaxWalk; {
		if w.partition == "" && !w.begin(tenants, now) {
			return
		}
		n, done := w.some()
		entries += n + 1
		if done {
			w.found[w.partition] = size{bytes: w.bytes, at: now}
			w.leave()
		}
	}
}

// begin begins with the partition that was not walked for the longest time.
func (w *walk) begin(tenants []Tenant, now time.Time) bool {
	var next *Tenant
	for i := range tenants {
		t := &tenants[i]
		if was, ok := w.found[t.Partition]; ok && now.Sub(was.at) < Rest {
			continue
		}
		if next == nil || w.found[t.Partition].at.Before(w.found[next.Partition].at) {
			next = t
		}
	}
	if next == nil {
		return false
	}
	info, err := os.Lstat(next.Directory)
	if err != nil || !info.IsDir() {
		w.found[next.Partition] = size{at: now} // nothing is installed
		return true
	}
	w.partition, w.bytes, w.folders = next.Partition, blocks(info), []string{next.Directory}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		w.device = stat.Dev
	}
	return true
}

// some looks at some entries of one folder.
func (w *walk) some() (entries int, done bool) {
	if w.partition == "" {
		return 0, false
	}
	if w.open == nil {
		if len(w.folders) == 0 {
			return 0, true
		}
		folder := w.folders[len(w.folders)-1]
		w.folders = w.folders[:len(w.folders)-1]
		f, err := os.OpenFile(folder, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return 0, false // removed meanwhile
		}
		w.open = f
	}
	list, err := w.open.ReadDir(chunk)
	for _, entry := range list {
		info, err := entry.Info()
		if err != nil {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || stat.Dev != w.device {
			continue
		}
		w.bytes += blocks(info)
		if info.IsDir() && len(w.folders) < maxFolders {
			w.folders = append(w.folders, filepath.Join(w.open.Name(), entry.Name()))
		}
	}
	if err != nil {
		_ = w.open.Close() // only read from
		w.open = nil
	}
	return len(list), false
}

// leave forgets the walk under way.
func (w *walk) leave() {
	if w.open != nil {
		_ = w.open.Close() // only read from
	}
	w.open, w.partition, w.folders, w.bytes = nil, "", nil, 0
}

// blocks is what a file takes on the disk; of one with several names, its part.
func blocks(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return uint64(max(0, info.Size()))
	}
	bytes := uint64(max(0, stat.Blocks)) * 512
	if !info.IsDir() && stat.Nlink > 1 {
		bytes /= uint64(stat.Nlink) //nolint:unconvert // 32 bits on arm64
	}
	return bytes
}
