package fakesupervisor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vow-os/vow/svc-node/supervise"
)

// Supervisor is safe for use by several goroutines. It outlives any agent that uses it, as the real one does.
type Supervisor struct {
	mu      sync.Mutex // never held while waiting
	set     supervise.Set
	pid     int
	exits   []supervise.Exit // unacknowledged
	last    uint64
	acked   uint64
	failing map[supervise.Key]string
	changed chan struct{} // closed and replaced at every step
	timer   *time.Timer
	closed  bool
}

// New returns a supervisor without units.
func New() *Supervisor {
	return &Supervisor{pid: 1000, failing: map[supervise.Key]string{}, changed: make(chan struct{})}
}

// Close stops its timer; nothing starts or ends after it.
func (s *Supervisor) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Crash ends a running process as if by itself: the supervisor starts it again and reports the exit. It returns false if
// no process of that key runs.
func (s *Supervisor) Crash(key supervise.Key, ending supervise.Ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	unit, ok := s.set.Unit(key)
	if !ok || unit.State != supervise.Running {
		return false
	}
	s.step(supervise.Exited{Key: key, Incarnation: unit.Incarnation, Ending: ending})
	return true
}

// FailStart makes every further start of a process fail with the given reason; "" = succeed again.
func (s *Supervisor) FailStart(key supervise.Key, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[key] = reason
}

// Apply is that of the real one.
func (s *Supervisor) Apply(_ context.Context, partition string, processes []supervise.Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := make([]supervise.Process, len(processes))
	for i, p := range processes {
		p.Partition = partition
		own[i] = p
	}
	if err := supervise.Validate(partition, own); err != nil {
		return err
	}
	s.step(supervise.Apply{Partition: partition, Processes: own})
	return nil
}

// Settle is that of the real one.
func (s *Supervisor) Settle(ctx context.Context, partition string) ([]supervise.Status, error) {
	for {
		s.mu.Lock()
		settled, units, changed := s.set.Settled(partition), s.status(partition), s.changed
		s.mu.Unlock()
		if settled {
			return units, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot settle %s: %w", partition, ctx.Err())
		}
	}
}

// List is that of the real one.
func (s *Supervisor) List(_ context.Context, partition string) ([]supervise.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status(partition), nil
}

// Hand is that of the real one.
func (s *Supervisor) Hand(_ context.Context, key supervise.Key, action supervise.Action) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.set.Unit(key); !ok {
		return fmt.Errorf("cannot %s %s: no such process (`list` shows all)", action, key)
	}
	s.step(supervise.Hand{Key: key, Do: action})
	return nil
}

// Ack is that of the real one.
func (s *Supervisor) Ack(_ context.Context, seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.last {
		return fmt.Errorf("cannot acknowledge exit %d: the last one is %d", seq, s.last)
	}
	s.acked = max(s.acked, seq)
	for len(s.exits) > 0 && s.exits[0].Seq <= s.acked {
		s.exits = s.exits[1:]
	}
	return nil
}

// Subscribe is that of the real one.
func (s *Supervisor) Subscribe(ctx context.Context, seq uint64) (<-chan supervise.Exit, error) {
	exits := make(chan supervise.Exit)
	go func() {
		defer close(exits)
		for {
			exit, changed := s.after(seq)
			if exit == nil {
				select {
				case <-changed:
					continue
				case <-ctx.Done():
					return
				}
			}
			select {
			case exits <- *exit:
				seq = exit.Seq
			case <-ctx.Done():
				return
			}
		}
	}()
	return exits, nil
}

func (s *Supervisor) after(seq uint64) (*supervise.Exit, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.exits {
		if e.Seq > seq {
			return &e, nil
		}
	}
	return nil, s.changed
}

func (s *Supervisor) status(partition string) []supervise.Status {
	var all []supervise.Status
	for _, unit := range s.set.Units() {
		if partition == "" || unit.Process.Partition == partition {
			all = append(all, supervise.Status{Unit: unit})
		}
	}
	return all
}

// step takes an event and all that follows from it through the core.
func (s *Supervisor) step(event supervise.Event) {
	if s.closed {
		return
	}
	for events := []supervise.Event{event}; len(events) > 0; events = events[1:] {
		set, effects, _ := supervise.Step(s.set, events[0], time.Now())
		s.set = set
		for _, effect := range effects {
			if next := s.act(effect); next != nil {
				events = append(events, next)
			}
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
	if s.timer != nil {
		s.timer.Stop()
	}
	if due, ok := s.set.Due(); ok {
		s.timer = time.AfterFunc(time.Until(due), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.step(supervise.Tick{})
		})
	}
}

// act carries out one effect and returns what comes of it.
func (s *Supervisor) act(effect supervise.Effect) supervise.Event {
	switch e := effect.(type) {
	case supervise.Report:
		s.last++
		e.Exit.Seq = s.last
		s.exits = append(s.exits, e.Exit)
	case supervise.Launch:
		if reason := s.failing[e.Process.Key]; reason != "" {
			return supervise.StartFailed{Key: e.Process.Key, Incarnation: e.Incarnation, Reason: reason}
		}
		s.pid++
		return supervise.Spawned{Key: e.Process.Key, Incarnation: e.Incarnation, PID: s.pid, Identity: "fake"}
	case supervise.Release:
		return supervise.Started{Key: e.Key, Incarnation: e.Incarnation}
	case supervise.Terminate:
		return s.ended(e.Key, 15)
	case supervise.Kill:
		return s.ended(e.Key, 9)
	case supervise.Record, supervise.Forget, supervise.Finished:
	}
	return nil
}

func (s *Supervisor) ended(key supervise.Key, signal int) supervise.Event {
	unit, _ := s.set.Unit(key)
	return supervise.Exited{Key: key, Incarnation: unit.Incarnation, Ending: supervise.Ending{Signal: signal}}
}
