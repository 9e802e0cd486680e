package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Service is something with a life: it starts once and stops at most once.
type Service interface {
	// Start returns when the service serves, or with the reason why it cannot. The context bounds the start only.
	Start(ctx context.Context) error
	// Stop ends everything that Start began, by the deadline of ctx. Further calls return nil at once.
	Stop(ctx context.Context) error
}

// Failing is the optional behaviour of a service that can end by itself: Done is closed then, and Err says why.
type Failing interface {
	Done() <-chan struct{}
	Err() error
}

// Part is one step of a Sequence. A nil Start or Stop is skipped.
type Part struct {
	Name  string
	Start func(context.Context) error
	Stop  func(context.Context) error
}

// PartOf makes a part of a service.
func PartOf(name string, s Service) Part {
	return Part{Name: name, Start: s.Start, Stop: s.Stop}
}

// Sequence starts its parts in order and stops those that started in reverse order. It is itself a Service.
type Sequence struct {
	log   *slog.Logger
	parts []Part

	// turn is a lock that waits on a channel: a mutex held while a part starts would freeze virtual time.
	turn    chan struct{}
	started int
	stopped bool

	done     chan struct{}
	doneOnce sync.Once
	err      error
}

var _ interface {
	Service
	Failing
} = (*Sequence)(nil)

// NewSequence makes a sequence; log may be nil.
func NewSequence(log *slog.Logger, parts ...Part) *Sequence {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Sequence{log: log, parts: parts, turn: make(chan struct{}, 1), done: make(chan struct{})}
	s.turn <- struct{}{}
	return s
}

// Watch makes the sequence end by itself when f does: Main stops all of it then. Call it before Start.
func (s *Sequence) Watch(f Failing) {
	done, stopped := f.Done(), s.done
	s.parts = append(s.parts, Part{Name: "watch", Start: func(context.Context) error {
		go func() {
			select {
			case <-done:
				s.fail(f.Err())
			case <-stopped:
			}
		}()
		return nil
	}})
}

// Done is closed when a watched part ended by itself, or after Stop.
func (s *Sequence) Done() <-chan struct{} { return s.done }

// Err is why Done was closed; nil before and after an ordinary Stop.
func (s *Sequence) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

func (s *Sequence) fail(err error) {
	s.doneOnce.Do(func() {
		s.err = err
		close(s.done)
	})
}

// Start starts the parts in order. When one fails, those before it are stopped, within the deadline of ctx, and the
// error of the failed one is returned.
func (s *Sequence) Start(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	defer s.unlock()
	if s.stopped {
		return errors.New("cannot start: already stopped")
	}
	for s.started < len(s.parts) {
		part := s.parts[s.started]
		if part.Start != nil {
			s.log.DebugContext(ctx, "starting", "part", part.Name)
			if err := part.Start(ctx); err != nil {
				stopErr := s.stop(context.WithoutCancel(ctx))
				if stopErr != nil {
					s.log.WarnContext(ctx, "cannot undo the start", "part", part.Name, "error", stopErr)
				}
				return fmt.Errorf("cannot start %s: %w", part.Name, err)
			}
		}
		s.started++
	}
	return nil
}

// Stop stops the started parts in reverse order; every part is asked even if an earlier one failed or the deadline
// has passed. The first error is returned.
func (s *Sequence) Stop(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return fmt.Errorf("cannot stop: %w", err)
	}
	defer s.unlock()
	return s.stop(ctx)
}

func (s *Sequence) stop(ctx context.Context) error {
	if s.stopped {
		return nil
	}
	s.stopped = true
	var first error
	for s.started > 0 {
		s.started--
		part := s.parts[s.started]
		if part.Stop == nil {
			continue
		}
		s.log.DebugContext(ctx, "stopping", "part", part.Name)
		if err := bounded(ctx, part.Stop); err != nil {
			s.log.WarnContext(ctx, "cannot stop a part", "part", part.Name, "error", err)
			if first == nil {
				first = fmt.Errorf("cannot stop %s: %w", part.Name, err)
			}
		}
	}
	s.fail(nil)
	return first
}

// bounded leaves a part that ignores the deadline behind: the process must end all the same.
func bounded(ctx context.Context, stop func(context.Context) error) error {
	result := make(chan error, 1)
	go func() { result <- stop(ctx) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	// What stops in time although it was told late counts as stopped.
	select {
	case err := <-result:
		return err
	default:
		return ctx.Err()
	}
}

func (s *Sequence) lock(ctx context.Context) error {
	select {
	case <-s.turn:
		return nil
	default:
	}
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sequence) unlock() { s.turn <- struct{}{} }
