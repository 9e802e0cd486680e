package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// MaxReadBytes bounds a file that a recipe reads; archives that a profile unpacks are the largest.
const MaxReadBytes = 32 << 20

// MaxStagedBytes bounds what one run holds in memory before it commits.
const MaxStagedBytes = 256 << 20

// kind is what an entry of the stage is.
type kind int

const (
	aFile kind = iota
	aLink
	aDirectory
	aRemoval
)

// entry is one change to the partition's directory that is not committed yet, or that need not be made since
// the disk has it already.
type entry struct {
	kind    kind
	path    string
	content []byte // of a file; the target of a link
	mode    fs.FileMode
	part    string // "profile/part" that wants it
	data    bool   // made once, then the partition's own: not recorded
	changed bool   // the disk differs
	old     *fileRecord
}

// stage is a partition's directory with changes on top of it.
type stage struct {
	root *os.Root
	dir  string
	// release is the directory of the release, which may be read, or empty; reader is open in it, or nil.
	release string
	reader  *os.Root
	entries map[string]*entry
	order   []string
	bytes   int64
	// found is the record as the run found it; owner, nil until it is asked for, says which installed part a path belongs to,
	// and what we wrote there.
	found *record
	owner map[string]owned
	// linked says that linkRelease has looked.
	linked bool
	// crashed are the files that a commit that was cut short had written.
	crashed map[string]fileRecord
	// settled says whether a part keeps what is recorded of it in this run.
	settled map[string]bool
}

type owned struct {
	part   string
	record fileRecord
}

func openStage(p Partition) (*stage, error) {
	root, err := os.OpenRoot(p.Directory)
	if err != nil {
		return nil, fmt.Errorf("cannot open the partition's directory: %w", err)
	}
	s := &stage{
		root: root, dir: path.Clean(p.Directory), release: p.ReleaseDirectory, entries: map[string]*entry{}, settled: map[string]bool{},
	}
	if s.release != "" {
		if s.reader, err = os.OpenRoot(s.release); err != nil {
			s.close()
			return nil, fmt.Errorf("cannot open %s, which the profile may read: %w", s.release, err)
		}
	}
	return s, nil
}

func (s *stage) close() {
	_ = s.root.Close()
	if s.reader != nil {
		_ = s.reader.Close()
	}
}

// inRelease gives the path relative to the release's directory, if it is in it.
func (s *stage) inRelease(name string) (string, bool) {
	if s.reader == nil || !path.IsAbs(name) {
		return "", false
	}
	return beneath(path.Clean(s.release), name)
}

// beneath gives the path relative to dir, if it is in it.
func beneath(dir, name string) (string, bool) {
	if !path.IsAbs(name) {
		return path.Clean(name), fs.ValidPath(path.Clean(name))
	}
	name = path.Clean(name)
	if name == dir {
		return ".", true
	}
	rel, ok := strings.CutPrefix(name, strings.TrimSuffix(dir, "/")+"/")
	return rel, ok && fs.ValidPath(rel)
}

// writable gives the path relative to the partition, or why it may not be written.
func (s *stage) writable(name string) (string, error) {
	if strings.ContainsAny(name, "\x00\n") || name == "" {
		return "", fmt.Errorf("cannot use %q as a path", name)
	}
	rel, ok := beneath(s.dir, name)
	if !ok {
		return "", fmt.Errorf("cannot write %s: it is outside of the partition's directory", name)
	}
	if rel == vowDirectory || strings.HasPrefix(rel, vowDirectory+"/") {
		return "", fmt.Errorf("cannot write %s: %s belongs to vow", name, vowDirectory)
	}
	return rel, nil
}

// owners makes owner when it is first asked for, which a run that changes nothing does not.
func (s *stage) owners() map[string]owned {
	if s.owner != nil {
		return s.owner
	}
	s.owner = map[string]owned{}
	for key, parts := range s.found.Profiles {
		for _, part := range parts {
			for _, f := range part.Files {
				s.owner[f.Path] = owned{part: id(key, part.Name), record: f}
			}
		}
	}
	return s.owner
}

func (s *stage) put(e *entry) {
	if _, ok := s.entries[e.path]; !ok {
		s.order = append(s.order, e.path)
	}
	s.entries[e.path] = e
}

// file stages a file or link of a part.
func (s *stage) file(e *entry, name string) error {
	rel, err := s.writable(name)
	if err != nil {
		return err
	}
	if rel == "." {
		return fmt.Errorf("cannot write %s: it is the partition's directory", name)
	}
	e.path = rel
	if s.bytes += int64(len(e.content)); s.bytes > MaxStagedBytes {
		return fmt.Errorf("cannot write more than %d bytes in one run", MaxStagedBytes)
	}
	if staged, ok := s.entries[rel]; ok && staged.kind != aRemoval && staged.part != e.part {
		if e.data && staged.kind == aFile {
			return nil
		}
		return fmt.Errorf("cannot write %s: [%s] writes it too", name, path.Base(staged.part))
	}
	before, isOurs := s.owners()[rel]
	if isOurs && before.part != e.part && s.settled[before.part] {
		return fmt.Errorf("cannot write %s: [%s] made it", name, path.Base(before.part))
	}
	same, exists, err := s.compare(e)
	if err != nil {
		return err
	}
	if e.data && exists {
		return nil
	}
	if exists && !same && !isOurs {
		return fmt.Errorf("cannot write %s: something is there that no part of this profile made; move it away", name)
	}
	if isOurs {
		e.old = &before.record
	}
	e.changed = !same
	s.put(e)
	return nil
}

// compare looks at the disk: whether it has the entry as wanted, and whether it has anything there.
func (s *stage) compare(e *entry) (same, exists bool, err error) {
	info, err := s.root.Lstat(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("cannot look at %s: %w", e.path, err)
	}
	switch {
	case info.IsDir():
		if e.data {
			return false, true, nil
		}
		return false, true, fmt.Errorf("cannot write %s: a directory is there", e.path)
	case e.kind == aLink && info.Mode()&fs.ModeSymlink != 0:
		target, err := s.root.Readlink(e.path)
		return err == nil && target == string(e.content), true, nil
	case e.kind == aFile && info.Mode().IsRegular():
		if info.Size() != int64(len(e.content)) || info.Mode().Perm() != e.mode {
			return false, true, nil
		}
		content, err := s.root.ReadFile(e.path)
		return err == nil && bytes.Equal(content, e.content), true, nil
	}
	return false, true, nil
}

// remove stages the removal of a file a part made.
func (s *stage) remove(part string, f fileRecord) {
	if staged, ok := s.entries[f.Path]; ok && staged.kind != aRemoval {
		return // another part, or the part's new self, writes it in this run
	}
	if _, err := s.root.Lstat(f.Path); errors.Is(err, fs.ErrNotExist) {
		return
	}
	s.put(&entry{kind: aRemoval, path: f.Path, part: part, changed: true, old: &f})
}

// directory stages a directory.
func (s *stage) directory(part, name string, mode fs.FileMode) error {
	rel, err := s.writable(name)
	if err != nil {
		return err
	}
	if rel == "." {
		return nil
	}
	if staged, ok := s.entries[rel]; ok {
		if staged.kind == aDirectory {
			return nil
		}
		return fmt.Errorf("cannot make the directory %s: [%s] writes a file there", name, path.Base(staged.part))
	}
	info, err := s.root.Stat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("cannot look at %s: %w", name, err)
	case info.IsDir():
		return nil
	default:
		return fmt.Errorf("cannot make the directory %s: a file is there", name)
	}
	s.put(&entry{kind: aDirectory, path: rel, mode: mode, part: part, changed: true})
	return nil
}

// released gives the path within the release of a name beneath the partition's link to it, which the partition's own root
// does not follow.
func (s *stage) released(name string) (string, bool) {
	if rel, ok := beneath(s.dir, name); ok && s.release != "" {
		if inner, ok := strings.CutPrefix(rel, releaseLink+"/"); ok {
			return path.Join(s.release, inner), true
		}
	}
	return name, false
}

// read reads a file as it will be after the commit.
func (s *stage) read(name string) ([]byte, error) {
	if inner, ok := s.released(name); ok {
		return s.read(inner)
	}
	if rel, ok := beneath(s.dir, name); ok {
		if e, ok := s.entries[rel]; ok {
			switch e.kind {
			case aFile:
				return e.content, nil
			case aRemoval:
				return nil, fmt.Errorf("cannot read %s: %w", name, fs.ErrNotExist)
			case aLink, aDirectory:
			}
		}
		return readBounded(s.root, rel, name)
	}
	if rel, ok := s.inRelease(name); ok {
		return readBounded(s.reader, rel, name)
	}
	return nil, fmt.Errorf("cannot read %s: it is neither in the partition nor in the software release", name)
}

func readBounded(root *os.Root, rel, name string) ([]byte, error) {
	f, err := root.OpenFile(rel, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, unwrapPath(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, unwrapPath(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read %s: it is not a file", name)
	}
	var content bytes.Buffer
	if err := readAll(&content, f, info.Size(), MaxReadBytes); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, unwrapPath(err))
	}
	return content.Bytes(), nil
}

// readAll reads a file that seems to have size bytes and may have at most limit. With the room to find its end in, a file of
// that size costs one allocation.
func readAll(content *bytes.Buffer, f io.Reader, size, limit int64) error {
	content.Grow(int(min(size, limit)) + bytes.MinRead)
	if _, err := content.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return err
	}
	if int64(content.Len()) > limit {
		return fmt.Errorf("it has more than %d bytes", limit)
	}
	return nil
}

// unwrapPath drops the operation and path that os adds: our messages name the path the profile wrote.
func unwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// exists says whether anything will be at the path after the commit.
func (s *stage) exists(name string) bool {
	if inner, ok := s.released(name); ok {
		return s.exists(inner)
	}
	if rel, ok := beneath(s.dir, name); ok {
		if e, ok := s.entries[rel]; ok {
			return e.kind != aRemoval
		}
		_, err := s.root.Lstat(rel)
		return err == nil
	}
	if rel, ok := s.inRelease(name); ok {
		_, err := s.reader.Stat(rel)
		return err == nil
	}
	return false
}

// hash is half a SHA-256 of a file's content or a link's target.
func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16])
}
