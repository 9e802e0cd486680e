package spool

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/atomicfile"
)

const suffix = ".pb"

// Spool is one folder of waiting messages. It may be used by several goroutines.
type Spool struct {
	dir    string
	limit  int
	synced bool

	mu      sync.Mutex // held while a file is written: callers wait for the disk, never for a network
	entries []entry
	next    uint64
	dropped uint64
	// left are files of messages that are sent, which the disk did not let go; they go with the next that it takes.
	left []string
}

type entry struct {
	file string
	key  string
	// held is the message itself, while the disk does not take it.
	held []byte
}

// MaxHeld is how many messages are held in memory while the disk takes none; the oldest gives way.
const MaxHeld = 200

// Open reads which messages wait in the folder, making it if need be. limit is how many it holds at most;
// synced is false where nothing has to survive a crash of the machine.
func Open(dir string, limit int, synced bool) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open the spool: %w", err)
	}
	files, err := os.ReadDir(dir) // sorted by name, and names start with a number of fixed width
	if err != nil {
		return nil, fmt.Errorf("cannot open the spool: %w", err)
	}
	s := &Spool{dir: dir, limit: limit, synced: synced, next: 1}
	for _, f := range files {
		stem, ok := strings.CutSuffix(f.Name(), suffix)
		if !ok {
			continue
		}
		number, keyHex, _ := strings.Cut(stem, "-")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read the spool: %s is no file of it", filepath.Join(dir, f.Name()))
		}
		key, err := hex.DecodeString(keyHex)
		if err != nil {
			return nil, fmt.Errorf("cannot read the spool: %s is no file of it", filepath.Join(dir, f.Name()))
		}
		s.entries = append(s.entries, entry{file: f.Name(), key: string(key)})
		s.next = n + 1
	}
	return s, nil
}

// Put adds a message, on disk when it returns. A key that waits already keeps its first message: a second one says no
// more. key may be empty.
func (s *Spool) Put(key string, m proto.Message) error {
	content, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot spool a message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != "" && slices.ContainsFunc(s.entries, func(e entry) bool { return e.key == key }) {
		return nil
	}
	for len(s.entries) >= s.limit {
		if err := s.remove(0); err != nil {
			return err
		}
		s.dropped++
	}
	e := s.entry(key)
	if err := s.write(e.file, content); err != nil {
		return err
	}
	s.next++
	s.entries = append(s.entries, e)
	s.recovered()
	return nil
}

// Hold keeps a message in memory when Put could not: it is sent like the others, goes to the disk when that takes something again, and is lost if the
// agent dies before.
func (s *Spool) Hold(key string, m proto.Message) error {
	content, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot hold a message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != "" && slices.ContainsFunc(s.entries, func(e entry) bool { return e.key == key }) {
		return nil
	}
	isHeld := func(e entry) bool { return e.held != nil }
	count := 0
	for _, e := range s.entries {
		if isHeld(e) {
			count++
		}
	}
	if count >= MaxHeld {
		i := slices.IndexFunc(s.entries, isHeld)
		s.entries = slices.Delete(s.entries, i, i+1)
		s.dropped++
	}
	e := s.entry(key)
	e.held = content
	s.next++
	s.entries = append(s.entries, e)
	return nil
}

func (s *Spool) entry(key string) entry {
	return entry{file: fmt.Sprintf("%016d-%s%s", s.next, hex.EncodeToString([]byte(key)), suffix), key: key}
}

func (s *Spool) write(file string, content []byte) error {
	if s.synced {
		return atomicfile.Synced(filepath.Join(s.dir, file), content, 0o600)
	}
	return atomicfile.Write(filepath.Join(s.dir, file), content, 0o600)
}

// recovered makes good what the disk did not take before, as far as it takes it now.
func (s *Spool) recovered() {
	for i := range s.entries {
		if e := &s.entries[i]; e.held != nil {
			if s.write(e.file, e.held) != nil {
				return
			}
			e.held = nil
		}
	}
	s.left = slices.DeleteFunc(s.left, func(file string) bool {
		err := os.Remove(filepath.Join(s.dir, file))
		return err == nil || os.IsNotExist(err)
	})
}

// First reads the oldest message into m and returns its name for Remove. ok is false when none waits. A file that cannot
// be read is dropped, counted and told.
func (s *Spool) First(m proto.Message) (name string, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) == 0 {
		return "", false, nil
	}
	name = s.entries[0].file
	content := s.entries[0].held
	if content == nil {
		content, err = os.ReadFile(filepath.Join(s.dir, name))
	}
	if err == nil {
		err = proto.Unmarshal(content, m)
	}
	if err != nil {
		s.dropped++
		if removeErr := s.remove(0); removeErr != nil {
			return "", false, removeErr
		}
		return "", false, fmt.Errorf("cannot read spooled message %s: %w", name, err)
	}
	return name, true, nil
}

// Remove forgets a message that was sent. A name that is not there is no error.
func (s *Spool) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.entries, func(e entry) bool { return e.file == name }); i >= 0 {
		return s.remove(i)
	}
	return nil
}

// RemoveKey forgets the message of a key, if one waits.
func (s *Spool) RemoveKey(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.entries, func(e entry) bool { return e.key == key }); i >= 0 {
		return s.remove(i)
	}
	return nil
}

func (s *Spool) remove(i int) error {
	if e := s.entries[i]; e.held == nil {
		if err := os.Remove(filepath.Join(s.dir, e.file)); err != nil && !os.IsNotExist(err) {
			s.left = append(s.left, e.file) // after a restart it is sent again, which changes nothing
		}
	}
	s.entries = slices.Delete(s.entries, i, i+1)
	return nil
}

// Len is how many messages wait.
func (s *Spool) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// Dropped counts the messages that were thrown away since Open.
func (s *Spool) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
