package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/atomicfile"
)

const suffix = ".pb"

// Store is the folder of records. It is used by one goroutine.
type Store struct {
	dir    string
	synced bool
	// written is the desired state as it was last written: only a change of it is worth a sync.
	written map[string]*storev1.NodePartition
}

// Open makes the folder if need be. synced is false where nothing has to survive a crash of the machine.
func Open(dir string, synced bool) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, "partition"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep records: %w", err)
	}
	return &Store{dir: dir, synced: synced, written: map[string]*storev1.NodePartition{}}, nil
}

// Partitions reads all partitions. broken tells of the records that could not be read; they are set aside.
func (s *Store) Partitions() (all []*storev1.NodePartition, broken []error, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "partition"))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read records: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), suffix) {
			continue // left over from a write that was cut short
		}
		p, path := new(storev1.NodePartition), filepath.Join(s.dir, "partition", entry.Name())
		err := read(path, p)
		if err == nil && p.GetDesired().GetPartition()+suffix != entry.Name() {
			err = fmt.Errorf("cannot read record %s: it is of partition %q", path, p.GetDesired().GetPartition())
		}
		if err != nil {
			broken = append(broken, err)
			if err := os.Rename(path, path+".broken"); err != nil {
				return nil, broken, fmt.Errorf("cannot set aside a broken record: %w", err)
			}
			continue
		}
		s.written[p.GetDesired().GetPartition()] = p
		all = append(all, p)
	}
	return all, broken, nil
}

// Write replaces the record of a partition.
func (s *Store) Write(p *storev1.NodePartition) error {
	name := p.GetDesired().GetPartition()
	content, err := proto.Marshal(p)
	if err != nil {
		return fmt.Errorf("cannot write the record of %s: %w", name, err)
	}
	write := atomicfile.Write
	if s.synced && !proto.Equal(s.written[name].GetDesired(), p.GetDesired()) {
		write = atomicfile.Synced
	}
	if err := write(s.path(name), content, 0o600); err != nil {
		return err
	}
	s.written[name] = p
	return nil
}

// Remove forgets a partition.
func (s *Store) Remove(name string) error {
	delete(s.written, name)
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the record of %s: %w", name, err)
	}
	return nil
}

// Counter reads the counter; an empty one if there is none.
func (s *Store) Counter() (*storev1.NodeCounter, error) {
	c := new(storev1.NodeCounter)
	if err := read(s.counter(), c); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return c, nil
}

// Count replaces the counter.
func (s *Store) Count(c *storev1.NodeCounter) error {
	content, err := proto.Marshal(c)
	if err != nil {
		return fmt.Errorf("cannot write the counter of runs: %w", err)
	}
	write := atomicfile.Write
	if s.synced {
		write = atomicfile.Synced
	}
	return write(s.counter(), content, 0o600)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, "partition", name+suffix) }
func (s *Store) counter() string         { return filepath.Join(s.dir, "counter"+suffix) }

func read(path string, m proto.Message) error {
	content, err := os.ReadFile(path) //nolint:gosec // our own record
	if err != nil {
		return fmt.Errorf("cannot read record %s: %w", path, err)
	}
	if err := proto.Unmarshal(content, m); err != nil {
		return fmt.Errorf("cannot read record %s: %w", path, err)
	}
	return nil
}
