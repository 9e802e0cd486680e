package fleet

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of an error; svc-master maps it once to an RPC code.
type Kind uint8

// Kinds of errors.
const (
	// NotFound: a thing that was named does not exist in this tree.
	NotFound Kind = iota + 1
	// InvalidArgument: Field does not hold what it may.
	InvalidArgument
	// FailedPrecondition: a token, generation, allocation or state is not current. Repeating the event does not help.
	FailedPrecondition
	// Exhausted: a bound or the quota is used up, until Until when that is known.
	Exhausted
	// AlreadyExists: a title is taken.
	AlreadyExists
)

func (k Kind) String() string {
	return word(k, "", "not found", "invalid argument", "failed precondition", "exhausted", "already exists")
}

// Error is why an event changed nothing. Its message starts with "cannot" and names what the user typed.
type Error struct {
	Kind Kind
	// Field is the offending field of an InvalidArgument, by its name in the RPC.
	Field string
	// Until is when an Exhausted quota opens again; zero when it does not by itself.
	Until time.Time
	// Message is for people.
	Message string
}

func (e *Error) Error() string { return e.Message }

// KindOf is the kind of err, 0 when it is not an [Error].
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

func fail(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) error {
	return &Error{Kind: InvalidArgument, Field: field, Message: fmt.Sprintf(format, args...)}
}
