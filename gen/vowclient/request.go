package vowclient

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// Request says that an instance is wanted. Without a request_id the call gets one of its own. Errors: *InvalidError, NOT_FOUND (requester), FAILED_PRECONDITION (the
// tree is being destroyed).
func (c *Client) Request(ctx context.Context, request *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	if request.GetRequestId() == "" {
		request = proto.CloneOf(request)
		request.RequestId = NewKey()
	}
	response, err := do(ctx, c.master.request, request)
	if err != nil {
		return nil, fmt.Errorf("cannot request %q: %w", request.GetTitle(), err)
	}
	return response, nil
}

// RequestAndWait requests an instance and returns it once it is as requested: started, when it has run since and its tree is Green; stopped, when a run has stopped it;
// destroyed, when it is gone, which takes its retention delay: then it is as it was before. Its connection parameters are those that it published.
// Errors: those of Request; *NotReadyError when ctx ends first.
func (c *Client) RequestAndWait(ctx context.Context, request *masterv1.RequestInstanceRequest) (*masterv1.Instance, error) {
	response, err := c.Request(ctx, request)
	if err != nil {
		return nil, err
	}
	return c.WaitInstance(ctx, response.GetInstance())
}

// WaitInstance waits until an instance is as it was requested last, as RequestAndWait does.
func (c *Client) WaitInstance(ctx context.Context, i *masterv1.Instance) (*masterv1.Instance, error) {
	now, gone, worth := i, false, anyMessage
	if i.GetState() == typev1.RequestedState_REQUESTED_STATE_STARTED {
		worth = greenMessage
	}
	_, err := c.waitTree(ctx, i.GetTreeId(), worth, func(tree *masterv1.Tree) bool {
		found := instanceOf(tree, i.GetInstanceId())
		if found == nil {
			gone = true
			return true
		}
		now = found
		switch found.GetState() {
		case typev1.RequestedState_REQUESTED_STATE_STARTED:
			return Green(tree)
		case typev1.RequestedState_REQUESTED_STATE_STOPPED:
			return Settled(found)
		}
		return false
	})
	gone = gone || IsNotFound(err) // with its tree
	switch {
	case gone && now.GetState() == typev1.RequestedState_REQUESTED_STATE_DESTROYED:
		return now, nil
	case gone:
		return now, connect.NewError(connect.CodeNotFound, fmt.Errorf("cannot find instance %s any more: somebody destroyed it", i.GetInstanceId()))
	}
	return now, err
}

func instanceOf(tree *masterv1.Tree, id string) *masterv1.Instance {
	for _, i := range tree.GetInstances() {
		if i.GetInstanceId() == id {
			return i
		}
	}
	return nil
}
