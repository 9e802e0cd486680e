package agent

import (
	"context"
	"errors"
	"sync"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// maxRelayed is how many calls of one link are answered at once: twice what svc-master lets through, which may have given up
// calls that have not ended here.
const maxRelayed = 16

const limitRelayed = "relayed calls"

var errCancelled = errors.New("the call was cancelled")

// relayed is the operators' calls that came through one link.
type relayed struct {
	agent   *Agent
	ctx     context.Context // of the link: with it all of them end
	answers chan<- *masterv1.NodeAnswer

	mu   sync.Mutex // never held while anything waits
	open map[uint64]*operatorCall
}

// operatorCall is one that is being answered.
type operatorCall struct {
	cancel context.CancelCauseFunc
	wake   chan struct{} // holds one when there may be room

	mu   sync.Mutex
	room int64 // bytes that may still be sent before the next grant; a message begins while there is any
}

func (a *Agent) relayed(ctx context.Context, answers chan<- *masterv1.NodeAnswer) *relayed {
	return &relayed{agent: a, ctx: ctx, answers: answers, open: map[uint64]*operatorCall{}}
}

// take takes what svc-master says of calls.
func (r *relayed) take(m *masterv1.LinkResponse) {
	if call := m.GetCall(); call != nil {
		r.begin(call)
	}
	if grant := m.GetGrant(); grant != nil {
		if c := r.find(grant.GetCall()); c != nil {
			c.granted(int64(grant.GetBytes()))
		}
	}
	if cancel := m.GetCancel(); cancel != nil {
		if c := r.find(cancel.GetCall()); c != nil {
			c.cancel(errCancelled)
		}
	}
}

func (r *relayed) find(id uint64) *operatorCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[id]
}

func (r *relayed) begin(call *masterv1.NodeCall) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	stop := func() {}
	if d := call.GetTimeout(); d != nil {
		ctx, stop = context.WithTimeout(ctx, d.AsDuration())
	}
	c := &operatorCall{cancel: cancel, wake: make(chan struct{}, 1), room: int64(call.GetWindow())}
	r.mu.Lock()
	full := len(r.open) >= maxRelayed
	if !full {
		r.open[call.GetCall()] = c
	}
	r.mu.Unlock()
	r.agent.group.Go("call", func(context.Context) error {
		defer cancel(nil)
		defer stop()
		answer := &masterv1.NodeAnswer{Call: call.GetCall()}
		if full {
			r.agent.limits.Add(ctx, 1, conv.LimitName.String(limitRelayed))
			answer.ErrorCode, answer.Error = string(rpc.CodeResourceExhausted), "cannot answer: too many calls are under way on this node"
		} else {
			answer.Response, answer.ErrorCode, answer.Error = r.agent.s.Call(ctx, call.GetMethod(), call.GetRequest(), func(message []byte) error {
				return r.more(ctx, c, &masterv1.NodeAnswer{Call: call.GetCall(), Response: message, More: true})
			})
			r.mu.Lock()
			delete(r.open, call.GetCall())
			r.mu.Unlock()
		}
		_ = r.send(r.ctx, answer) // a link that has ended needs no answer
		return nil
	})
}

// more sends one message of a stream, once there is room.
func (r *relayed) more(ctx context.Context, c *operatorCall, answer *masterv1.NodeAnswer) error {
	for !c.fits(int64(len(answer.GetResponse()))) {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return r.send(ctx, answer)
}

func (r *relayed) send(ctx context.Context, answer *masterv1.NodeAnswer) error {
	select {
	case r.answers <- answer:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fits takes room for a message that may begin.
func (c *operatorCall) fits(size int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room <= 0 {
		return false
	}
	c.room -= size
	return true
}

func (c *operatorCall) granted(bytes int64) {
	c.mu.Lock()
	c.room += bytes
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
