package install

import (
	"io/fs"
	"os"
	"path"
)

// MaxSightDirectories bounds the directories that one look at a partition's files keeps open; parts put their files into
// five or six.
const MaxSightDirectories = 16

// sight looks at files beneath a root. An os.Root opens each directory on the way to a file, each time; this opens a
// directory once, so that a file costs one system call instead of five. Opened directories are those that a root without them
// would find as long as nothing moves a directory, so it lives for one look.
type sight struct {
	root *os.Root
	open map[string]*os.Root
}

func (s *sight) lstat(name string) (fs.FileInfo, error) {
	dir, base := path.Split(name)
	if dir == "" || base == "" || base == "." || base == ".." { // a directory's own name: of itself, or from below
		return s.root.Lstat(name)
	}
	within := s.open[dir]
	if within == nil {
		if len(s.open) >= MaxSightDirectories {
			return s.root.Lstat(name)
		}
		var err error
		if within, err = s.root.OpenRoot(dir); err != nil {
			return s.root.Lstat(name) // which says what is wrong with the file, not with its directory
		}
		if s.open == nil {
			s.open = map[string]*os.Root{}
		}
		s.open[dir] = within
	}
	return within.Lstat(base)
}

func (s *sight) close() {
	for _, root := range s.open {
		_ = root.Close()
	}
}
