package api

import (
	"context"
	"errors"
	"time"

	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// coded gives an error of the core or of the store its RPC code. This is the only place that does.
func coded(err error) error {
	if err == nil {
		return nil
	}
	var refused *fleet.Error
	var notFound *redisstore.NotFoundError
	var state *redisstore.StateError
	var unavailable *redisstore.UnavailableError
	switch {
	case errors.As(err, &refused):
		return codedKind(refused)
	case errors.As(err, &notFound):
		return rpc.NotFound(notFound)
	case errors.As(err, &state):
		return rpc.FailedPrecondition(state)
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &unavailable):
		return rpc.Unavailable(unavailable)
	case errors.Is(err, redisstore.ErrCut):
		return rpc.Unavailable(err)
	case rpc.CodeOf(err) != rpc.CodeUnknown:
		return err
	}
	return rpc.Internal(err)
}

func codedKind(e *fleet.Error) error {
	switch e.Kind {
	case fleet.NotFound:
		return rpc.NotFound(e)
	case fleet.InvalidArgument:
		return rpc.InvalidArgument(e)
	case fleet.FailedPrecondition:
		return rpc.FailedPrecondition(e)
	case fleet.AlreadyExists:
		return rpc.AlreadyExists(e)
	case fleet.Exhausted:
		return rpc.ResourceExhausted(e, max(time.Until(e.Until), 0))
	}
	return rpc.Internal(e)
}

func invalid(format string, args ...any) error {
	return rpc.Errorf(rpc.CodeInvalidArgument, format, args...)
}

func isNotFound(err error) bool {
	var notFound *redisstore.NotFoundError
	return errors.As(err, &notFound)
}

func isUnavailable(err error) bool {
	var unavailable *redisstore.UnavailableError
	return errors.As(err, &unavailable)
}
