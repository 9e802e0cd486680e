package redisstore

import "fmt"

// NotFoundError names what the caller typed and nobody knows.
type NotFoundError struct {
	// Kind is computer, partition, tree, instance, software release, …
	Kind string
	// Name is what was typed.
	Name string
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("cannot find %s %q", e.Kind, e.Name) }

// StateError refuses what the state of things does not allow now; nothing was changed.
type StateError struct {
	// Message starts "cannot" and names what was typed.
	Message string
}

func (e *StateError) Error() string { return e.Message }

// UnavailableError says that the store did not answer, or that it changed too often to decide; calling again is safe.
type UnavailableError struct {
	// What was being done, for example `cannot commit tree "t…"`.
	What string
	// Cause is the error of the connection; nil when there is none.
	Cause error
}

func (e *UnavailableError) Error() string {
	if e.Cause == nil {
		return e.What
	}
	return fmt.Sprintf("%s: %v", e.What, e.Cause)
}

func (e *UnavailableError) Unwrap() error { return e.Cause }
