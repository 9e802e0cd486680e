package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// Call answers an operator's unary call of vow.node.v1 that came through svc-master's Link: by full method name, with
// encoded messages.
func (n *Node) Call(ctx context.Context, method string, request []byte) (response []byte, code, message string) {
	answer, err := n.dispatch(ctx, method, request)
	if err == nil {
		response, err = proto.Marshal(answer)
	}
	if err != nil {
		return nil, string(rpc.CodeOf(err)), rpc.Message(err)
	}
	return response, "", ""
}

func (n *Node) dispatch(ctx context.Context, method string, request []byte) (proto.Message, error) {
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
	}
	return nil, rpc.Unimplemented(method)
}

func unary[Req, Res proto.Message](ctx context.Context, encoded []byte, request Req, handle func(context.Context, Req) (Res, error)) (proto.Message, error) {
	if err := proto.Unmarshal(encoded, request); err != nil {
		return nil, rpc.InvalidArgument(err)
	}
	return handle(ctx, request)
}
