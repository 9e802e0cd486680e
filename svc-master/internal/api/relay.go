package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-master/internal/link"
)

// Bounds of relayed calls; link.MaxCalls is the one of a node.
const (
	// maxCallsOfCaller is for a person with some terminals, or a console with its pages.
	maxCallsOfCaller = 32
	// maxRelayedCalls bounds the memory of a replica: 128 streams that nobody reads are 128 × 1.25 MiB.
	maxRelayedCalls = 128
	// streamFor is how long a relayed stream lives at most.
	streamFor = 12 * time.Hour
	// findWithin is how long another replica may take to say whether it holds a link.
	findWithin = time.Second

	limitRelayed       = "relayed_calls"
	limitRelayedCaller = "relayed_calls_of_caller"
	limitRelayedNode   = "relayed_calls_of_node"
)

// unaryProcedures and streamProcedures are what operators may call on nodes, and nothing else is relayed. A node checks what it is asked by itself, too.
var (
	unaryProcedures = []string{
		nodev1connect.NodeServiceGetStatusProcedure, nodev1connect.NodeServicePlanProcedure, nodev1connect.NodeServiceListProcessesProcedure,
		nodev1connect.NodeServiceControlProcessProcedure, nodev1connect.NodeServiceRunPromisesProcedure,
		examinev1connect.ExamineServiceExamineProcedure,
	}
	streamProcedures = []string{nodev1connect.NodeServiceLogsProcedure, nodev1connect.NodeServiceSensePromisesProcedure}
)

// CallNode relays a unary call to a node.
func (a *API) CallNode(ctx context.Context, req *masterv1.CallNodeRequest) (*masterv1.CallNodeResponse, error) {
	var response []byte
	err := a.relay(ctx, req, unaryProcedures, func(l *link.Link) (err error) {
		response, err = l.Call(ctx, req.GetMethod(), req.GetRequest())
		return a.relayedError(req, err)
	}, func(r *replica) error {
		answer, err := r.links.CallNode(ctx, &masterv1.CallNodeRequest{Computer: req.GetComputer(), Method: req.GetMethod(), Request: req.GetRequest(), Here: true})
		response = answer.GetResponse()
		return forwarded(err)
	})
	if err != nil {
		return nil, err
	}
	return &masterv1.CallNodeResponse{Response: response}, nil
}

// StreamNode relays a call whose answer is a stream.
func (a *API) StreamNode(ctx context.Context, req *masterv1.StreamNodeRequest, stream *connect.ServerStream[masterv1.StreamNodeResponse]) error {
	ctx, cancel := context.WithTimeoutCause(ctx, streamFor, rpc.Errorf(rpc.CodeDeadlineExceeded, "cannot go on with %s of %s: it has lasted %s, call it again", req.GetMethod(), req.GetComputer(), streamFor))
	defer cancel()
	pass := func(message []byte) error { return send(ctx, stream, &masterv1.StreamNodeResponse{Response: message}) }
	return a.relay(ctx, req, streamProcedures, func(l *link.Link) error {
		return a.relayedError(req, l.Stream(ctx, req.GetMethod(), req.GetRequest(), pass))
	}, func(r *replica) error {
		answers, err := r.links.StreamNode(ctx, &masterv1.StreamNodeRequest{Computer: req.GetComputer(), Method: req.GetMethod(), Request: req.GetRequest(), Here: true})
		if err != nil {
			return forwarded(err)
		}
		defer answers.Close() //nolint:errcheck // it is over
		for answers.Receive() {
			if err := pass(answers.Msg().GetResponse()); err != nil {
				return err
			}
		}
		return forwarded(answers.Err())
	})
}

// FindLink tells whether a link is here.
func (a *API) FindLink(_ context.Context, req *masterv1.FindLinkRequest) (*masterv1.FindLinkResponse, error) {
	res := &masterv1.FindLinkResponse{}
	if l := a.links.Find(req.GetComputer()); l != nil {
		res.Open = durationpb.New(l.Age())
	}
	return res, nil
}

// toRelay is what CallNodeRequest and StreamNodeRequest have in common.
type toRelay interface {
	GetComputer() string
	GetMethod() string
	GetHere() bool
}

// relay checks a call, finds the replica that holds the link, and hands the call to the link here or to that replica.
func (a *API) relay(ctx context.Context, req toRelay, procedures []string, here func(*link.Link) error, there func(*replica) error) error {
	if !slices.Contains(procedures, req.GetMethod()) {
		return invalid("cannot relay method %q: want one of %s", req.GetMethod(), strings.Join(procedures, ", "))
	}
	leave, err := a.callers.enter(callerOf(ctx, req.GetHere()))
	if err != nil {
		return err
	}
	defer leave()
	if req.GetHere() {
		if l := a.links.Find(req.GetComputer()); l != nil {
			return here(l)
		}
		return rpc.UnavailableFor(fmt.Errorf("cannot reach the node of %q: its link has just moved", req.GetComputer()), a.relinkedAfter())
	}
	computer, err := a.Store.Computer(ctx, req.GetComputer())
	if err != nil {
		return coded(err)
	}
	found := a.replicas.find(ctx, req.GetComputer(), a.links.Find(req.GetComputer()))
	switch {
	case found.here != nil:
		return here(found.here)
	case found.there != nil:
		return there(found.there)
	}
	contact := computer.Contact
	if later := a.Store.LastContact(req.GetComputer()); later.After(contact) {
		contact = later
	}
	since := "it has never been heard of"
	if !contact.IsZero() {
		since = fmt.Sprintf("it was last heard of %s ago, at %s", time.Since(contact).Round(time.Second), contact.UTC().Format(time.RFC3339))
	}
	if found.silent > 0 {
		since += fmt.Sprintf("; %d replicas of svc-master that may hold its link do not answer", found.silent)
	}
	return rpc.UnavailableFor(fmt.Errorf("cannot reach the node of %q: it has no link to svc-master; %s", req.GetComputer(), since), a.relinkedAfter())
}

// relinkedAfter is when a node that lost its link has it again, most likely.
func (a *API) relinkedAfter() time.Duration { return max(a.ReconnectWindow, time.Second) }

// relayedError gives what became of a call at the link its code.
func (a *API) relayedError(req toRelay, err error) error {
	node := new(link.NodeError)
	switch {
	case errors.As(err, &node):
		return rpc.Error(rpc.Code(node.Code), node)
	case errors.Is(err, link.ErrLost):
		return rpc.Unavailable(fmt.Errorf("cannot call %s at the node of %q: %w", req.GetMethod(), req.GetComputer(), err))
	case errors.Is(err, link.ErrBusy):
		a.Trail.Limit(limitRelayedNode)
		return rpc.ResourceExhausted(fmt.Errorf("cannot call %s at the node of %q: %w", req.GetMethod(), req.GetComputer(), err), 0)
	case err == nil, rpc.CodeOf(err) != rpc.CodeUnknown:
		return err
	}
	return rpc.Internal(fmt.Errorf("cannot call %s at the node of %q: %w", req.GetMethod(), req.GetComputer(), err))
}

// forwarded is the error of another replica, as that said it.
func forwarded(err error) error {
	if err == nil {
		return nil
	}
	return rpc.Error(rpc.CodeOf(err), errors.New(rpc.Message(err)))
}

// callers counts the relayed calls under way, by who called.
type callers struct {
	limit func(string)

	mu    sync.Mutex // never held while anything waits
	all   int
	calls map[string]int
}

// callerOf is who called: the address, until identity exists. Empty = a replica that has counted it already.
func callerOf(ctx context.Context, here bool) string {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if here || !ok {
		return ""
	}
	host, _, err := net.SplitHostPort(info.Peer().Addr)
	if err != nil {
		return info.Peer().Addr
	}
	return host
}

// enter counts a call until leave is called.
func (c *callers) enter(caller string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxRelayedCalls {
		c.limit(limitRelayed)
		return nil, rpc.ResourceExhausted(fmt.Errorf("cannot relay a call: %d are under way at this replica", c.all), 0)
	}
	if caller != "" && c.calls[caller] >= maxCallsOfCaller {
		c.limit(limitRelayedCaller)
		return nil, rpc.ResourceExhausted(fmt.Errorf("cannot relay a call: %d of %s are under way", c.calls[caller], caller), 0)
	}
	c.all++
	c.calls[caller]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.calls[caller]--; c.calls[caller] == 0 {
			delete(c.calls, caller)
		}
	}, nil
}
