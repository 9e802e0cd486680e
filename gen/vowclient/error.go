package vowclient

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	validate "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// InvalidError says that a request can never succeed as it is: INVALID_ARGUMENT.
type InvalidError struct {
	// Violations names the fields. Empty for what only svc-master's own code can check; the text names the field then.
	Violations []Violation
	err        error
}

// Violation is one broken rule of the contract.
type Violation struct {
	// Field is its path, e.g. sla.labels["rack"].
	Field string
	// Rule is the id of the rule, e.g. string.min_bytes.
	Rule string
	// Message says it to people.
	Message string
}

func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap is the error of the RPC library.
func (e *InvalidError) Unwrap() error { return e.err }

// RefusedError says that a limit is used up, e.g. a tree's bangs of the day: RESOURCE_EXHAUSTED. More calls do not open it.
type RefusedError struct {
	// OpensAt is when it opens again, by the caller's clock; zero = svc-master did not say.
	OpensAt time.Time
	err     error
}

func (e *RefusedError) Error() string { return e.err.Error() }

// Unwrap is the error of the RPC library.
func (e *RefusedError) Unwrap() error { return e.err }

// NotReadyError says that a tree did not become what was waited for while the context lasted. errors.Is finds the context's error in it.
type NotReadyError struct {
	// Tree is as it was seen last; nil when it never was.
	Tree *masterv1.Tree
	// Reason is why it is not ready: svc-master's, with the errors of the instances' latest runs.
	Reason string
	err    error
}

func (e *NotReadyError) Error() string {
	return fmt.Sprintf("cannot wait longer for tree %q: %s: %v", e.Tree.GetTitle(), e.Reason, e.err)
}

// Unwrap is why the wait ended.
func (e *NotReadyError) Unwrap() error { return e.err }

// NotConvergedError says that a convergence ended otherwise (superseded, abandoned), or is still open when the context ended; then errors.Is finds the context's error in it.
type NotConvergedError struct {
	// Convergence is as it was seen last.
	Convergence *masterv1.Convergence
	err         error
}

func (e *NotConvergedError) Error() string {
	c := e.Convergence
	if c.GetClosedAt() == nil {
		return fmt.Sprintf("convergence %s is still open: %s", c.GetConvergenceId(), strings.Join(Blockers(c), "; "))
	}
	text := fmt.Sprintf("convergence %s ended %s", c.GetConvergenceId(), strings.ToLower(strings.TrimPrefix(c.GetState().String(), "CONVERGENCE_STATE_")))
	if c.GetReason() != "" {
		text += ": " + c.GetReason()
	}
	return text
}

// Unwrap is why the wait ended; nil when the convergence did.
func (e *NotConvergedError) Unwrap() error { return e.err }

// Blockers says what an open convergence waits for, a line for each member.
func Blockers(c *masterv1.Convergence) []string {
	var all []string
	for _, m := range c.GetMembers() {
		if m.GetSettled() {
			continue
		}
		why := m.GetBlocker()
		if why == "" {
			why = "has not run yet"
		}
		all = append(all, fmt.Sprintf("%s (%s/%s): %s", m.GetTitle(), m.GetComputer(), m.GetPartition(), why))
	}
	return all
}

// CodeOf is the code of an error of either stack, or of a context; 0 for nil, connect.CodeUnknown for any other.
func CodeOf(err error) connect.Code {
	if err == nil {
		return 0
	}
	if ce := new(connect.Error); errors.As(err, &ce) {
		return ce.Code()
	}
	if s, is := grpcStatus(err); is {
		return connect.Code(s.Code()) // the numbers are gRPC's
	}
	switch {
	case errors.Is(err, context.Canceled):
		return connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return connect.CodeDeadlineExceeded
	}
	return connect.CodeUnknown
}

// IsNotFound tells whether a named thing does not exist.
func IsNotFound(err error) bool { return CodeOf(err) == connect.CodeNotFound }

// grpcStatus is the status of an error of grpc-go. status.FromError invents one for any other, and so is not asked first.
func grpcStatus(err error) (*status.Status, bool) {
	var of interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &of) {
		return nil, false
	}
	return of.GRPCStatus(), true
}

// decode gives an error that came from svc-master its type.
func decode(err error) error {
	switch CodeOf(err) {
	case connect.CodeInvalidArgument:
		e := &InvalidError{err: err}
		for _, v := range detail[*validate.Violations](err).GetViolations() {
			e.Violations = append(e.Violations, Violation{Field: fieldPath(v.GetField()), Rule: v.GetRuleId(), Message: v.GetMessage()})
		}
		return e
	case connect.CodeResourceExhausted:
		e := &RefusedError{err: err}
		if info := detail[*errdetails.RetryInfo](err); info != nil {
			e.OpensAt = time.Now().Add(info.GetRetryDelay().AsDuration())
		}
		return e
	}
	return err
}

// detail finds a message that svc-master attached to an error; the zero value if it did not.
func detail[M proto.Message](err error) (found M) {
	if ce := new(connect.Error); errors.As(err, &ce) {
		for _, d := range ce.Details() {
			if value, err := d.Value(); err == nil {
				if m, is := value.(M); is {
					return m
				}
			}
		}
		return found
	}
	if s, is := grpcStatus(err); is {
		for _, d := range s.Details() {
			if m, is := d.(M); is {
				return m
			}
		}
	}
	return found
}

// fieldPath spells the path of a field as people write it.
func fieldPath(p *validate.FieldPath) string {
	var text strings.Builder
	for n, e := range p.GetElements() {
		if n > 0 {
			text.WriteByte('.')
		}
		text.WriteString(e.GetFieldName())
		switch at := e.GetSubscript().(type) {
		case *validate.FieldPathElement_Index:
			fmt.Fprintf(&text, "[%d]", at.Index)
		case *validate.FieldPathElement_StringKey:
			fmt.Fprintf(&text, "[%s]", strconv.Quote(at.StringKey))
		}
	}
	return text.String()
}
