package api

import (
	"context"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// What the contract has and this server does not, yet: docs/unimplemented.md lists them.

// CallNode answers UNIMPLEMENTED.
func (a *API) CallNode(context.Context, *masterv1.CallNodeRequest) (*masterv1.CallNodeResponse, error) {
	return nil, rpc.Unimplemented("CallNode")
}
