package install

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
)

// nonBlocking keeps opening a named pipe, which a service may have put in the place of a file, from blocking.
const nonBlocking = syscall.O_NONBLOCK

// pending lists what the stage is about to write.
func (s *stage) pending() []fileRecord {
	var all []fileRecord
	for _, name := range s.order {
		e := s.entries[name]
		if e == nil || !e.changed || e.data || e.kind != aFile && e.kind != aLink {
			continue
		}
		all = append(all, fileRecord{Path: e.path, Link: e.kind == aLink, Hash: hash(e.content)})
	}
	return all
}

// dirty says whether a commit would change the disk.
func (s *stage) dirty() bool {
	for _, e := range s.entries {
		if e.changed {
			return true
		}
	}
	return false
}

// apply writes the stage to disk and returns what is now known of each file, and what was moved to .vow/kept.
// Removals come first, so that a directory may take a removed file's place.
func (s *stage) apply() (written map[string]fileRecord, kept []string, err error) {
	if len(s.order) == 0 {
		return nil, nil, nil
	}
	written = map[string]fileRecord{}
	for _, removals := range []bool{true, false} {
		for _, name := range s.order {
			e := s.entries[name]
			if e == nil || (e.kind == aRemoval) != removals {
				continue
			}
			aside, err := s.applyOne(e)
			if err != nil {
				return written, kept, err
			}
			if aside != "" {
				kept = append(kept, aside)
			}
			if (e.kind == aFile || e.kind == aLink) && !e.data {
				f, err := s.describe(e)
				if err != nil {
					return written, kept, err
				}
				written[e.path] = f
			}
		}
	}
	return written, kept, nil
}

// applyOne makes one change; aside is the path of what was moved away, if anything was.
func (s *stage) applyOne(e *entry) (aside string, err error) {
	if !e.changed {
		return "", nil
	}
	if e.kind == aDirectory {
		if err := s.root.MkdirAll(e.path, e.mode); err != nil {
			return "", fmt.Errorf("cannot make the directory %s: %w", e.path, unwrapPath(err))
		}
		return "", nil
	}
	if aside, err = s.keep(e); err != nil {
		return "", err
	}
	if e.kind == aRemoval {
		if aside != "" {
			return aside, nil
		}
		if err := s.root.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot remove %s: %w", e.path, unwrapPath(err))
		}
		return "", nil
	}
	if dir := path.Dir(e.path); dir != "." {
		if err := s.root.MkdirAll(dir, 0o750); err != nil {
			return aside, fmt.Errorf("cannot make the directory %s: %w", dir, unwrapPath(err))
		}
	}
	if e.kind == aLink {
		err = s.link(e)
	} else {
		err = writeWhole(s.root, e.path, e.content, e.mode)
	}
	if err != nil {
		return aside, fmt.Errorf("cannot write %s: %w", e.path, unwrapPath(err))
	}
	return aside, nil
}

// releaseLink is the name in a partition of a link to its release, which slapgrid makes and profiles refer to.
const releaseLink = "software_release"

// linkRelease makes it, once a run, unless something that is no link has its name.
func (s *stage) linkRelease() error {
	if s.release == "" || s.linked {
		return nil
	}
	s.linked = true
	if target, err := s.root.Readlink(releaseLink); err == nil && target == s.release {
		return nil
	}
	if info, err := s.root.Lstat(releaseLink); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	if err := s.link(&entry{path: releaseLink, content: []byte(s.release)}); err != nil {
		return fmt.Errorf("cannot write %s: %w", releaseLink, unwrapPath(err))
	}
	return nil
}

func (s *stage) link(e *entry) error {
	if err := s.root.MkdirAll(vowDirectory, 0o750); err != nil {
		return err
	}
	if err := s.root.Remove(freshName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.root.Symlink(string(e.content), freshName); err != nil {
		return err
	}
	return s.root.Rename(freshName, e.path)
}

// keep moves away what is at an entry's path when it is not what we left there: somebody changed it. Where it
// goes it is not run as a service or promise, and nothing of it is lost.
func (s *stage) keep(e *entry) (string, error) {
	info, err := s.root.Lstat(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", e.path, unwrapPath(err))
	}
	if e.old != nil && s.asWritten(*e.old, info) {
		return "", nil
	}
	if f, ok := s.crashed[e.path]; ok && s.asWritten(f, info) {
		return "", nil
	}
	if e.kind != aRemoval {
		content, ok := s.contentOf(e.path, info)
		if ok && hash(content) == hash(e.content) {
			return "", nil // only the mode differs, or a crash left it there
		}
	}
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s/%s.%d", keptName, e.path, n)
		if _, err := s.root.Lstat(aside); err == nil {
			continue
		}
		if err := s.root.MkdirAll(path.Dir(aside), 0o750); err != nil {
			return "", fmt.Errorf("cannot keep %s, which was changed by hand: %w", e.path, unwrapPath(err))
		}
		if err := s.root.Rename(e.path, aside); err != nil {
			return "", fmt.Errorf("cannot keep %s, which was changed by hand: %w", e.path, unwrapPath(err))
		}
		return aside, nil
	}
}

// asWritten says whether a file or link is as the record says we left it.
func (s *stage) asWritten(f fileRecord, info fs.FileInfo) bool {
	if f.Time != 0 && !f.Link && info.Mode().IsRegular() && info.Size() == f.Size && info.ModTime().UnixNano() == f.Time {
		return true
	}
	content, ok := s.contentOf(f.Path, info)
	return ok && f.Link == (info.Mode()&fs.ModeSymlink != 0) && hash(content) == f.Hash
}

func (s *stage) contentOf(name string, info fs.FileInfo) ([]byte, bool) {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := s.root.Readlink(name)
		return []byte(target), err == nil
	}
	if !info.Mode().IsRegular() || info.Size() > MaxStagedBytes {
		return nil, false
	}
	content, err := s.root.ReadFile(name)
	return content, err == nil
}

// describe records a file that is on disk as the entry says.
func (s *stage) describe(e *entry) (fileRecord, error) {
	info, err := s.root.Lstat(e.path)
	if err != nil {
		return fileRecord{}, fmt.Errorf("cannot look at %s: %w", e.path, unwrapPath(err))
	}
	f := fileRecord{Path: e.path, Link: e.kind == aLink, Hash: hash(e.content)}
	if !f.Link {
		f.Mode, f.Size, f.Time = info.Mode().Perm(), info.Size(), info.ModTime().UnixNano()
	}
	return f, nil
}

// clear forgets what was committed.
func (s *stage) clear() {
	if len(s.order) == 0 {
		return
	}
	s.entries, s.order, s.bytes = map[string]*entry{}, nil, 0
}
