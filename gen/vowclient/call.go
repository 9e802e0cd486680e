package vowclient

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// Bounds of what is repeated.
const (
	// CallTimeout bounds one attempt of a call: above what svc-master needs under load, below what people wait.
	CallTimeout = 10 * time.Second
	// Patience is how long nothing may answer before a method gives up with the last error: longer than a restart or a fail-over takes.
	Patience = 30 * time.Second
	// retryFirst and retryMax are the growing delay between attempts; each is drawn between a half and the whole of it, so that callers spread.
	retryFirst = 100 * time.Millisecond
	retryMax   = 5 * time.Second
)

// do makes a call until it is answered: with a message, or with an error that another attempt would not change.
func do[Q, R any](ctx context.Context, call unary[Q, R], request *Q) (*R, error) {
	var a attempts
	for {
		one, cancel := context.WithTimeout(ctx, CallTimeout)
		response, err := call(one, request)
		cancel()
		if err == nil {
			return response, nil
		}
		if !a.again(ctx, err) {
			return nil, decode(err)
		}
	}
}

// attempts counts what failed in a row.
type attempts struct {
	failed int
	since  time.Time
}

// again tells whether an error passes by itself, and waits before it says so.
func (a *attempts) again(ctx context.Context, err error) bool {
	if !passes(ctx, err) {
		return false
	}
	if a.failed++; a.failed == 1 {
		a.since = time.Now()
	}
	grown := min(retryFirst<<min(a.failed-1, 10), retryMax)
	delay := grown/2 + rand.N(grown/2)
	if info := detail[*errdetails.RetryInfo](err); info != nil {
		delay = max(delay, info.GetRetryDelay().AsDuration())
	}
	end, bounded := ctx.Deadline()
	if time.Since(a.since)+delay > Patience || bounded && time.Until(end) < delay {
		return false
	}
	return pause(ctx, delay)
}

// answered forgets what failed before.
func (a *attempts) answered() { a.failed = 0 }

// pause waits; false means that ctx ended first.
func pause(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passes tells whether the same call may be answered later: svc-master is away or refused it unheard, the attempt (not the caller) ran out of time, or the connection broke.
func passes(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	switch CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return true
	case connect.CodeCanceled: // not by the caller, whose context goes on: by a server that was killed
		return true
	}
	broken := new(net.OpError)
	return !connect.IsWireError(err) && (errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken))
}

// over tells whether an error is the end of the caller's patience: its context ended, or will within a moment, and the server, which was told the deadline, was first to notice.
func over(ctx context.Context, err error) bool {
	end, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && CodeOf(err) == connect.CodeDeadlineExceeded && time.Until(end) < retryMax
}

// endOf is the error of a context that is over.
func endOf(ctx context.Context) error { return cmp.Or(ctx.Err(), context.DeadlineExceeded) }

// errCut is the end of a stream that should have told the end of what it follows: its server was stopped.
var errCut = connect.NewError(connect.CodeUnavailable, errors.New("the stream ended too early"))

// ended is the error of a stream, nil for its ordinary end.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
