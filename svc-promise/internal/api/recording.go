package api

import (
	"context"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
)

// recording records what a stream receives, in order, while the next message is read and checked, which takes as long. It has a goroutine only while there is
// something to record: one that waits for most of its life costs 8 kB of stack for each connected node.
type recording struct {
	sense    *Sense
	ctx      context.Context //nolint:containedctx // of the stream that it is part of
	computer string
	pass     func(batch)
	// lacking is the windows of the stream that lack groups.
	lacking map[windowKey]struct{}
	// waiting is the message after the one that is being recorded; turn is held by who records.
	waiting chan *promisev1.SenseRequest
	turn    chan struct{}
}

func newRecording(ctx context.Context, s *Sense, computer string, pass func(batch)) *recording {
	return &recording{
		sense: s, ctx: ctx, computer: computer, pass: pass, lacking: map[windowKey]struct{}{},
		waiting: make(chan *promisev1.SenseRequest, 1), turn: make(chan struct{}, 1),
	}
}

// take takes the next message, and waits while one waits already. Only the stream's reader calls it.
func (r *recording) take(request *promisev1.SenseRequest) error {
	select {
	case r.waiting <- request:
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	select {
	case r.turn <- struct{}{}:
		go r.recordAll()
	default: // who has the turn looks again after giving it back
	}
	return nil
}

// recordAll records until nothing waits. It has the turn.
func (r *recording) recordAll() {
	for {
		r.recordWaiting()
		<-r.turn
		if len(r.waiting) == 0 {
			return
		}
		select {
		case r.turn <- struct{}{}: // it came after the last look and before the turn was free
		default:
			return
		}
	}
}

// finish returns when all that was taken is recorded; nothing is taken after it. When the stream ended first, what waits is drained: the node sends it again.
func (r *recording) finish() {
	r.turn <- struct{}{}
	r.recordWaiting()
}

func (r *recording) recordWaiting() {
	for {
		select {
		case request := <-r.waiting:
			r.record(request)
		default:
			return
		}
	}
}

func (r *recording) record(request *promisev1.SenseRequest) {
	one := batch{number: request.GetBatch()}
	for _, a := range request.GetAllocations() {
		r.sense.record(r.ctx, r.computer, a, &one, r.lacking)
	}
	r.pass(one)
}
