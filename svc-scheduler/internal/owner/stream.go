package owner

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
)

// Hello is what a node says when it opens a stream.
type Hello struct {
	Computer, BootID string
	Slots            int
	Running          []string
	// LastRead is when bytes were last read on its connection; may be nil. Called while the stream is open only.
	LastRead func() (time.Time, bool)
}

// Stream is the orders of one computer on their way to its node: the latest one per partition, so that it is bounded by the partitions.
type Stream struct {
	owner *Owner

	mu     sync.Mutex // held for a few instructions only
	orders map[string]agenda.Order
	turn   []string // partitions in order
	signal chan struct{}
}

func newStream(o *Owner) *Stream {
	return &Stream{owner: o, orders: map[string]agenda.Order{}, signal: make(chan struct{}, 1)}
}

// Session owns the computer's agenda until Next fails.
func (s *Stream) Session() uint64 { return s.owner.session }

// Next waits for orders. It fails with ErrSuperseded when a newer stream owns the agenda, with ErrStopped when the replica stops, and
// with the context's error.
func (s *Stream) Next(ctx context.Context) ([]agenda.Order, error) {
	for {
		if orders := s.take(); len(orders) > 0 {
			return orders, nil
		}
		select {
		case <-s.signal:
		case <-s.owner.ctx.Done():
			return nil, context.Cause(s.owner.ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the stream: the computer gets no orders until the next. It returns when that is saved, or CloseTimeout is over.
func (s *Stream) Close() {
	s.owner.end(errClosed)
	<-s.owner.done
}

func (s *Stream) put(orders []agenda.Order) {
	s.mu.Lock()
	for _, order := range orders {
		if _, waiting := s.orders[order.Partition]; !waiting {
			s.turn = append(s.turn, order.Partition)
		}
		s.orders[order.Partition] = order
	}
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

func (s *Stream) take() []agenda.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	orders := make([]agenda.Order, 0, len(s.turn))
	for _, partition := range s.turn {
		orders = append(orders, s.orders[partition])
	}
	clear(s.orders)
	s.turn = slices.Delete(s.turn, 0, len(s.turn))
	return orders
}
