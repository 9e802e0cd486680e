package api

import (
	"errors"
	"io"

	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-node/internal/agent"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/sense"
)

// peerError sorts an error of a call into away and refused.
func peerError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	code := rpc.CodeOf(err)
	refused := false
	switch code {
	case rpc.CodeInvalidArgument, rpc.CodeNotFound, rpc.CodeAlreadyExists, rpc.CodePermissionDenied, rpc.CodeUnauthenticated,
		rpc.CodeFailedPrecondition, rpc.CodeResourceExhausted, rpc.CodeOutOfRange, rpc.CodeUnimplemented:
		refused = true
	}
	return &peer.Error{Refused: refused, Code: string(code), Message: rpc.Message(err)}
}

// streamError is peerError for the end of a stream, which is never a refusal to be remembered: the stream is opened again.
func streamError(err error) error {
	if errors.Is(err, io.EOF) || err == nil {
		return &peer.Error{Code: string(rpc.CodeUnavailable), Message: "the service ended the stream"}
	}
	return &peer.Error{Code: string(rpc.CodeOf(err)), Message: rpc.Message(err)}
}

// nodeError gives an error of the agent its code.
func nodeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, agent.ErrNotFound), errors.Is(err, sense.ErrNoPromise):
		return rpc.NotFound(err)
	case errors.Is(err, agent.ErrCannotControl):
		return rpc.Error(rpc.CodeFailedPrecondition, err)
	case errors.Is(err, agent.ErrCannotPlan):
		return rpc.Error(rpc.CodeUnimplemented, err)
	case rpc.CodeOf(err) != rpc.CodeUnknown:
		return err
	}
	return rpc.Internal(err)
}
