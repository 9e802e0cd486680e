package link

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// Bounds of the calls on one link.
const (
	// MaxCalls is how many are under way on one link: some people and a console look at one node at a time.
	MaxCalls = 8
	// Window is how many bytes of a streamed answer may be on their way to a caller that has not taken them: four messages of a log.
	Window = 256 << 10
	// maxMessage is how far beyond the window a node may go: it begins a message while there is room.
	maxMessage = 1 << 20
	// maxQueue is how many messages wait at most, for those that are empty.
	maxQueue = 4096
)

var (
	// ErrLost marks a call whose link broke before its answer.
	ErrLost = errors.New("the link to the node was lost before the answer came; it is unknown whether the call was carried out")
	// ErrBusy marks a call beyond MaxCalls.
	ErrBusy = errors.New("too many calls to this node are under way")
	// errFlood marks a node that sends more than it was granted.
	errFlood = errors.New("the node sent more than it was asked for")
)

// NodeError is an error that the node answered.
type NodeError struct {
	// Code is the RPC's, as Connect spells it.
	Code string
	// Message is the node's, for people.
	Message string
}

func (e *NodeError) Error() string { return e.Message }

// Link is a node's open stream.
type Link struct {
	opened time.Time
	send   func(*masterv1.LinkResponse) error
	turn   chan struct{} // held by who sends: a send waits for the network, which no mutex may
	done   chan struct{} // closed when it is

	mu    sync.Mutex // guards what follows; never held while anything waits
	ended bool
	last  uint64
	calls map[uint64]*call
}

// call is one that is under way.
type call struct {
	wake chan struct{} // holds one when there is something to take

	mu     sync.Mutex
	queue  []*masterv1.NodeAnswer
	unread int // bytes in queue
	flood  bool
}

// Age is how long it has been open.
func (l *Link) Age() time.Duration { return time.Since(l.opened) }

// Call asks the node and returns its one answer. Errors: *NodeError, ErrBusy, ErrLost, those of ctx.
func (l *Link) Call(ctx context.Context, method string, request []byte) ([]byte, error) {
	id, c, err := l.begin(ctx, &masterv1.NodeCall{Method: method, Request: request})
	if err != nil {
		return nil, err
	}
	answered := false
	defer func() { l.end(id, answered) }()
	answer, err := l.next(ctx, c)
	if err != nil {
		return nil, err
	}
	answered = !answer.GetMore()
	return answer.GetResponse(), failure(answer)
}

// Stream asks the node and passes each message of its answer on; an error of pass ends it. Errors: as Call, and those of pass.
func (l *Link) Stream(ctx context.Context, method string, request []byte, pass func([]byte) error) error {
	id, c, err := l.begin(ctx, &masterv1.NodeCall{Method: method, Request: request, Window: Window})
	if err != nil {
		return err
	}
	answered := false
	defer func() { l.end(id, answered) }()
	for {
		answer, err := l.next(ctx, c)
		if err != nil {
			return err
		}
		if !answer.GetMore() {
			answered = true
			return failure(answer)
		}
		if err := pass(answer.GetResponse()); err != nil {
			return err
		}
		grant := &masterv1.NodeGrant{Call: id, Bytes: uint32(len(answer.GetResponse()))}
		if err := l.tell(ctx, &masterv1.LinkResponse{Message: &masterv1.LinkResponse_Grant{Grant: grant}}); err != nil {
			return err
		}
	}
}

func failure(a *masterv1.NodeAnswer) error {
	if a.GetErrorCode() == "" {
		return nil
	}
	return &NodeError{Code: a.GetErrorCode(), Message: a.GetError()}
}

// begin sends a call to the node.
func (l *Link) begin(ctx context.Context, request *masterv1.NodeCall) (uint64, *call, error) {
	if end, ok := ctx.Deadline(); ok {
		request.Timeout = durationpb.New(max(time.Until(end), 0))
	}
	c := &call{wake: make(chan struct{}, 1)}
	l.mu.Lock()
	switch {
	case l.ended:
		l.mu.Unlock()
		return 0, nil, ErrLost
	case len(l.calls) >= MaxCalls:
		l.mu.Unlock()
		return 0, nil, ErrBusy
	}
	if l.calls == nil {
		l.calls = map[uint64]*call{}
	}
	l.last++
	id := l.last
	l.calls[id] = c
	l.mu.Unlock()
	request.Call = id
	if err := l.tell(ctx, &masterv1.LinkResponse{Message: &masterv1.LinkResponse_Call{Call: request}}); err != nil {
		l.end(id, false)
		return 0, nil, err
	}
	return id, c, nil
}

// next waits for a message of an answer.
func (l *Link) next(ctx context.Context, c *call) (*masterv1.NodeAnswer, error) {
	for {
		c.mu.Lock()
		if c.flood {
			c.mu.Unlock()
			return nil, errFlood
		}
		if len(c.queue) > 0 {
			answer := c.queue[0]
			c.queue = c.queue[1:]
			c.unread -= len(answer.GetResponse())
			c.mu.Unlock()
			return answer, nil
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.done:
			return nil, ErrLost
		}
	}
}

// end forgets a call, and tells the node unless that has answered it.
func (l *Link) end(id uint64, answered bool) {
	l.mu.Lock()
	delete(l.calls, id)
	l.mu.Unlock()
	if !answered {
		cancel := &masterv1.LinkResponse{Message: &masterv1.LinkResponse_Cancel{Cancel: &masterv1.NodeCancel{Call: id}}}
		_ = l.tell(context.Background(), cancel) // a link that breaks meanwhile ends the call at the node, too
	}
}

// tell sends one message.
func (l *Link) tell(ctx context.Context, message *masterv1.LinkResponse) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-l.done:
		return ErrLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-l.done: // both were ready
		return ErrLost
	default:
	}
	if l.send(message) != nil {
		return ErrLost // the handler notices by itself: what breaks sending breaks receiving
	}
	return nil
}

// Take takes an answer of the node; one of a call that has ended is dropped.
func (l *Link) Take(answer *masterv1.NodeAnswer) {
	l.mu.Lock()
	c := l.calls[answer.GetCall()]
	l.mu.Unlock()
	if c == nil {
		return
	}
	c.mu.Lock()
	if c.unread += len(answer.GetResponse()); c.unread > Window+maxMessage || len(c.queue) >= maxQueue {
		c.flood, c.queue = true, nil
	} else {
		c.queue = append(c.queue, answer)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close ends its calls; when it returns nothing is sent any more.
func (l *Link) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	close(l.done)
	l.turn <- struct{}{} // who sends, finishes; nobody begins any more
}
