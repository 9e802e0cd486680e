package api

import (
	"context"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// What the contract has and this server does not, yet: docs/unimplemented.md lists them.

// RenameInstance answers UNIMPLEMENTED.
func (a *API) RenameInstance(context.Context, *masterv1.RenameInstanceRequest) (*masterv1.RenameInstanceResponse, error) {
	return nil, rpc.Unimplemented("RenameInstance")
}

// WatchComputerColours answers UNIMPLEMENTED.
func (a *API) WatchComputerColours(context.Context, *masterv1.WatchComputerColoursRequest, *connect.ServerStream[masterv1.WatchComputerColoursResponse]) error {
	return rpc.Unimplemented("WatchComputerColours")
}

// CallNode answers UNIMPLEMENTED.
func (a *API) CallNode(context.Context, *masterv1.CallNodeRequest) (*masterv1.CallNodeResponse, error) {
	return nil, rpc.Unimplemented("CallNode")
}
