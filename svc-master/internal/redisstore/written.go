package redisstore

import (
	"context"
	"sync"
	"time"
)

// lookAnyway is how often the embedded store's streams are all looked at although nobody told of a write.
const lookAnyway = time.Minute

// written is which streams this process wrote to. The embedded store is followed by it: there a blocked XREAD looks, at every
// command of anybody, through each entry of each stream, which with 6,000 entries costs 2 ms a command; and nobody outside
// of this process can write.
type written struct {
	mu      sync.Mutex // never held while anything waits
	streams map[string]bool
	all     bool // a look at all of them failed
	ready   chan struct{}
}

func newWritten() *written {
	return &written{streams: map[string]bool{}, ready: make(chan struct{}, 1)}
}

// tell notes a write.
func (w *written) tell(stream string) {
	w.mu.Lock()
	w.streams[stream] = true
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// again notes what wait returned, since looking at it failed.
func (w *written) again(streams map[string]bool) {
	w.mu.Lock()
	w.all = w.all || streams == nil
	for stream := range streams {
		w.streams[stream] = true
	}
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// wait waits for a write and takes what was noted; nil means that all streams are to be looked at.
func (w *written) wait(ctx context.Context) map[string]bool {
	timer := time.NewTimer(lookAnyway)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return map[string]bool{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	streams, all := w.streams, w.all
	w.streams, w.all = map[string]bool{}, false
	if all {
		return nil
	}
	return streams
}
