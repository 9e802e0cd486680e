package supervisor

import (
	"os"
	"sync"
)

// syncer synchronises the journal to the disk behind the back of the machine, as often as the disk can: however many
// writes came meanwhile, they share the next sync.
type syncer struct {
	mu     sync.Mutex
	dirty  *os.File
	closed []*os.File
	stop   bool
	wake   chan struct{}
	done   chan struct{}
}

func newSyncer() *syncer {
	s := &syncer{wake: make(chan struct{}, 1), done: make(chan struct{})}
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
