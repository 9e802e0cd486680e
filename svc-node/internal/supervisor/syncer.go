package supervisor

import (
	"os"
	"sync"
	"time"
)

// syncDelay is the time between a write and the sync that it asks for. A restart writes three times within some 5 ms; a
// sync at once has the second and third write wait for its commit in the file system's journal (ext4: up to 15 ms).
const syncDelay = 50 * time.Millisecond

// syncer synchronises the journal to the disk behind the back of the machine, a moment after the first write: the writes that
// came meanwhile share the sync.
type syncer struct {
	mu     sync.Mutex
	dirty  *os.File
	closed []*os.File
	stop   bool
	wake   chan struct{}
	hurry  chan struct{}
	done   chan struct{}
}

func newSyncer() *syncer {
	s := &syncer{wake: make(chan struct{}, 1), hurry: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// later asks for a sync of the file.
func (s *syncer) later(file *os.File) { s.tell(func() { s.dirty = file }) }

// forget closes a file that is not written any more.
func (s *syncer) forget(file *os.File) {
	if file == nil {
		return
	}
	s.tell(func() {
		s.closed = append(s.closed, file)
		if s.dirty == file {
			s.dirty = nil
		}
	})
}

// close syncs what is left and ends.
func (s *syncer) close() {
	s.tell(func() { s.stop = true })
	close(s.hurry)
	<-s.done
}

func (s *syncer) tell(what func()) {
	s.mu.Lock()
	what()
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *syncer) run() {
	defer close(s.done)
	for range s.wake {
		select {
		case <-time.After(syncDelay):
		case <-s.hurry: // what is left is synchronised without a delay
		}
		s.mu.Lock()
		dirty, closed, stop := s.dirty, s.closed, s.stop
		s.dirty, s.closed = nil, nil
		s.mu.Unlock()
		if dirty != nil {
			_ = dirty.Sync() // a failing disk fails the next write too, which tells
		}
		for _, file := range closed {
			_ = file.Sync()
			_ = file.Close()
		}
		if stop {
			return
		}
	}
}
