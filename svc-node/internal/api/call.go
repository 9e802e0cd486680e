package api

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// Bounds of an answer through the Link, which other things go through, too, in bytes (NodeAnswer.response).
const (
	maxRelayedAnswer  = 2 << 20
	maxRelayedMessage = 1 << 20
)

// Call answers an operator's call of vow.node.v1, or an examination, that came through svc-master's Link: by full method name, with
// encoded messages. What answers with a stream passes its messages to more, and then ends without a response.
func (n *Node) Call(ctx context.Context, method string, request []byte, more func([]byte) error) (response []byte, code, message string) {
	answer, err := n.dispatch(ctx, method, request, more)
	if err == nil && answer != nil {
		response, err = encode(answer, maxRelayedAnswer)
	}
	if err != nil {
		return nil, string(rpc.CodeOf(err)), rpc.Message(err)
	}
	return response, "", ""
}

func (n *Node) dispatch(ctx context.Context, method string, request []byte, more func([]byte) error) (answer proto.Message, err error) {
	defer rpc.Recover(ctx, n.log, method, &err) // on the socket kit/rpc does this: one call must not end the agent
	switch method {
	case nodev1connect.NodeServiceGetStatusProcedure:
		return unary(ctx, request, new(nodev1.GetStatusRequest), n.GetStatus)
	case nodev1connect.NodeServicePlanProcedure:
		return unary(ctx, request, new(nodev1.PlanRequest), n.Plan)
	case nodev1connect.NodeServiceListProcessesProcedure:
		return unary(ctx, request, new(nodev1.ListProcessesRequest), n.ListProcesses)
	case nodev1connect.NodeServiceControlProcessProcedure:
		return unary(ctx, request, new(nodev1.ControlProcessRequest), n.ControlProcess)
	case nodev1connect.NodeServiceRunPromisesProcedure:
		return unary(ctx, request, new(nodev1.RunPromisesRequest), n.RunPromises)
	case examinev1connect.ExamineServiceExamineProcedure:
		return unary(ctx, request, new(examinev1.ExamineRequest), n.Examine)
	case nodev1connect.NodeServiceLogsProcedure:
		return nil, streamed(ctx, request, new(nodev1.LogsRequest), n.logs, more)
	case nodev1connect.NodeServiceSensePromisesProcedure:
		return nil, streamed(ctx, request, new(nodev1.SensePromisesRequest), n.sensePromises, more)
	}
	return nil, rpc.Unimplemented(method)
}

func unary[Req, Res proto.Message](ctx context.Context, encoded []byte, request Req, handle func(context.Context, Req) (Res, error)) (proto.Message, error) {
	if err := decode(encoded, request); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

func streamed[Req, Res proto.Message](ctx context.Context, encoded []byte, request Req, handle func(context.Context, Req, func(Res) error) error, more func([]byte) error) error {
	if err := decode(encoded, request); err != nil {
		return err
	}
	return handle(ctx, request, func(message Res) error {
		bytes, err := encode(message, maxRelayedMessage)
		if err != nil {
			return err
		}
		return more(bytes)
	})
}

// decode reads a request and checks it by the rules that the socket checks it by.
func decode(encoded []byte, request proto.Message) error {
	if err := proto.Unmarshal(encoded, request); err != nil {
		return rpc.InvalidArgument(errors.New("cannot read the request: it is not of this method"))
	}
	return rpc.Validate(request)
}

func encode(answer proto.Message, limit int) ([]byte, error) {
	if size := proto.Size(answer); size > limit {
		return nil, rpc.Errorf(rpc.CodeResourceExhausted, "cannot relay an answer of %d bytes, at most %d: ask for less, or at the node's own socket", size, limit)
	}
	return proto.Marshal(answer)
}
