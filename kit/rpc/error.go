package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Code is the class of an error that crosses an edge, spelled as Connect spells it on the wire.
type Code string

// The codes in use. OK is CodeOf(nil).
const (
	OK                     Code = "ok"
	CodeCanceled           Code = "canceled"
	CodeUnknown            Code = "unknown"
	CodeInvalidArgument    Code = "invalid_argument"
	CodeDeadlineExceeded   Code = "deadline_exceeded"
	CodeNotFound           Code = "not_found"
	CodeAlreadyExists      Code = "already_exists"
	CodePermissionDenied   Code = "permission_denied"
	CodeResourceExhausted  Code = "resource_exhausted"
	CodeFailedPrecondition Code = "failed_precondition"
	CodeAborted            Code = "aborted"
	CodeOutOfRange         Code = "out_of_range"
	CodeUnimplemented      Code = "unimplemented"
	CodeInternal           Code = "internal"
	CodeUnavailable        Code = "unavailable"
	CodeDataLoss           Code = "data_loss"
	CodeUnauthenticated    Code = "unauthenticated"
)

// CodeOf is the code of err, wherever it was made: here, by a server, by the transport, or by a context. Anything
// else is CodeUnknown.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if ce := new(connect.Error); errors.As(err, &ce) {
		return Code(ce.Code().String())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return CodeDeadlineExceeded
	}
	return CodeUnknown
}

// Error gives err a code; its text crosses the edge, and so must not hold secrets. A nil err gives nil.
func Error(code Code, err error) error {
	if err == nil {
		return nil
	}
	var c connect.Code
	if c.UnmarshalText([]byte(code)) != nil {
		c = connect.CodeUnknown
	}
	return connect.NewError(c, err)
}

// Errorf is Error with a formatted text.
func Errorf(code Code, format string, args ...any) error {
	return Error(code, fmt.Errorf(format, args...))
}

// Constructors by code. Each takes the error whose text the caller sees.

// InvalidArgument says that the request can never succeed; err names the field.
func InvalidArgument(err error) error { return Error(CodeInvalidArgument, err) }

// NotFound says that a named thing does not exist.
func NotFound(err error) error { return Error(CodeNotFound, err) }

// AlreadyExists says that a name is taken.
func AlreadyExists(err error) error { return Error(CodeAlreadyExists, err) }

// FailedPrecondition says that the request does not fit the present state: a stale token, generation or allocation.
func FailedPrecondition(err error) error { return Error(CodeFailedPrecondition, err) }

// Aborted says that a concurrent change won; the whole may be tried again from the start.
func Aborted(err error) error { return Error(CodeAborted, err) }

// Unavailable says that it may work later, as it is.
func Unavailable(err error) error { return Error(CodeUnavailable, err) }

// Internal says that we are at fault.
func Internal(err error) error { return Error(CodeInternal, err) }

// Unimplemented says that a method exists in the contract but not in this server.
func Unimplemented(name string) error {
	return Errorf(CodeUnimplemented, "cannot call %s: not implemented by this server", name)
}

// ResourceExhausted says that a limit was hit, and after how long it opens again; zero means unknown.
func ResourceExhausted(err error, retryAfter time.Duration) error {
	return withRetryAfter(CodeResourceExhausted, err, retryAfter)
}

// UnavailableFor is Unavailable with a time after which to try again.
func UnavailableFor(err error, retryAfter time.Duration) error {
	return withRetryAfter(CodeUnavailable, err, retryAfter)
}

func withRetryAfter(code Code, err error, after time.Duration) error {
	coded := Error(code, err)
	if ce := new(connect.Error); after > 0 && errors.As(coded, &ce) {
		if d, err := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}); err == nil {
			ce.AddDetail(d)
		}
	}
	return coded
}

// RetryAfter is what the server said about when to try again.
func RetryAfter(err error) (time.Duration, bool) {
	info, ok := detailOf[*errdetails.RetryInfo](err)
	if !ok {
		return 0, false
	}
	return info.GetRetryDelay().AsDuration(), true
}

// WithReason adds a word, UPPER_SNAKE_CASE, by which programs tell apart errors of one code, for example STALE_TOKEN
// and STALE_ALLOCATION. An err without a code gets CodeUnknown.
func WithReason(err error, reason string) error {
	if err == nil {
		return nil
	}
	ce := new(connect.Error)
	if !errors.As(err, &ce) {
		ce = connect.NewError(connect.CodeUnknown, err)
		err = ce
	}
	if d, detailErr := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: reason, Domain: reasonDomain}); detailErr == nil {
		ce.AddDetail(d)
	}
	return err
}

// reasonDomain is the domain of google.rpc.ErrorInfo: who defines the reasons.
const reasonDomain = "vow"

// Reason is the word that WithReason added, or empty.
func Reason(err error) string {
	info, _ := detailOf[*errdetails.ErrorInfo](err)
	return info.GetReason()
}

func detailOf[M any](err error) (found M, ok bool) {
	ce := new(connect.Error)
	if !errors.As(err, &ce) {
		return found, false
	}
	for _, detail := range ce.Details() {
		value, err := detail.Value()
		if err != nil {
			continue
		}
		if m, isIt := value.(M); isIt {
			return m, true
		}
	}
	return found, false
}

// Message is the text of err without its code: what to show to people.
func Message(err error) string {
	if err == nil {
		return ""
	}
	if ce := new(connect.Error); errors.As(err, &ce) {
		return ce.Message()
	}
	return err.Error()
}

// IsInvalidArgument tells whether the code of err is CodeInvalidArgument; the others below likewise.
func IsInvalidArgument(err error) bool { return CodeOf(err) == CodeInvalidArgument }

// IsNotFound: a named thing does not exist.
func IsNotFound(err error) bool { return CodeOf(err) == CodeNotFound }

// IsAlreadyExists: a name is taken.
func IsAlreadyExists(err error) bool { return CodeOf(err) == CodeAlreadyExists }

// IsFailedPrecondition: stale token, generation or allocation, or a state that does not allow it.
func IsFailedPrecondition(err error) bool { return CodeOf(err) == CodeFailedPrecondition }

// IsResourceExhausted: a limit was hit.
func IsResourceExhausted(err error) bool { return CodeOf(err) == CodeResourceExhausted }

// IsUnavailable: the server cannot be reached or cannot serve now.
func IsUnavailable(err error) bool { return CodeOf(err) == CodeUnavailable }

// IsCanceled: the caller went away.
func IsCanceled(err error) bool { return CodeOf(err) == CodeCanceled }

// IsDeadlineExceeded: no answer in time; whether the call had an effect is unknown.
func IsDeadlineExceeded(err error) bool { return CodeOf(err) == CodeDeadlineExceeded }

// IsRetryable tells whether the same idempotent call may succeed later: the server was unavailable or did not answer
// in time. A hit limit is not retryable: more load does not open it.
func IsRetryable(err error) bool {
	switch CodeOf(err) {
	case CodeUnavailable, CodeDeadlineExceeded:
		return true
	}
	return false
}
