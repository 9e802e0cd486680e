package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of joining calls.
const (
	// maxJoined is how many calls one pipeline carries: at 20 µs each, others wait 3 ms for it at most.
	maxJoined = 128
	// maxFlying is how many pipelines are on their way: while one waits for its fsync the next is written.
	maxFlying = 2
	// joinedTimeout bounds a pipeline; its callers may leave before.
	joinedTimeout = 10 * time.Second
)

// joiner makes one pipeline of what concurrent callers ask for: a thousand computers whose agendas change at once cost ten round trips, not a thousand.
// A lone caller waits for nobody.
type joiner struct {
	mu      sync.Mutex // never held while anything waits
	waiting []joined
	flying  int
}

type joined struct {
	ctx  context.Context
	call Call
	done chan *redis.Cmd // takes one
}

// RunJoined is Run for calls that come many at a time. Each call is atomic and has its own answer; the order of calls of different callers is not kept. When ctx
// ends first the call may have run all the same, as with every error that IsUnavailable.
func (s *Store) RunJoined(ctx context.Context, script *Script, keys []string, args ...any) *redis.Cmd {
	if err := script.check(keys); err != nil {
		return failed(ctx, err)
	}
	mine := joined{ctx, Call{script, keys, args}, make(chan *redis.Cmd, 1)}
	j := &s.joiner
	j.mu.Lock()
	j.waiting = append(j.waiting, mine)
	start := j.flying < maxFlying
	if start {
		j.flying++
	}
	j.mu.Unlock()
	if start {
		go s.fly()
	}
	select {
	case answer := <-mine.done:
		return answer
	case <-ctx.Done():
		return failed(ctx, fmt.Errorf("cannot wait for script %s any longer: %w", script.name, ctx.Err()))
	}
}

// fly sends pipelines as long as somebody waits.
func (s *Store) fly() {
	for {
		batch := s.joiner.take()
		if len(batch) == 0 {
			return
		}
		calls := make([]Call, len(batch))
		for i := range batch {
			calls[i] = batch[i].call
		}
		// It outlives the caller that was first, whose trace gets the round trip.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), joinedTimeout)
		if len(calls) == 1 {
			batch[0].done <- s.Run(ctx, calls[0].Script, calls[0].Keys, calls[0].Args...)
			cancel()
			continue
		}
		for i, answer := range s.RunAll(ctx, calls) {
			batch[i].done <- answer
		}
		cancel()
	}
}

// take takes the calls of the next pipeline, without those whose callers left; none ends a flight.
func (j *joiner) take() []joined {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = slices.DeleteFunc(j.waiting, func(w joined) bool { return w.ctx.Err() != nil })
	if len(j.waiting) == 0 {
		j.flying--
		return nil
	}
	batch := slices.Clone(j.waiting[:min(len(j.waiting), maxJoined)])
	j.waiting = slices.Delete(j.waiting, 0, len(batch))
	return batch
}
