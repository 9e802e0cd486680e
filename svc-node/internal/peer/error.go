package peer

import "errors"

// Error is what another service did not give.
type Error struct {
	// Refused says that the service answered and that the same call cannot succeed.
	Refused bool
	// Code is the RPC's, for example failed_precondition.
	Code string
	// Message is the service's, for people.
	Message string
}

// Error returns the message with its code.
func (e *Error) Error() string { return e.Message + " (" + e.Code + ")" }

// Refused tells whether a service answered that the call cannot succeed.
func Refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Refused
}

// Away tells whether a service could not be asked, or did not answer in time.
func Away(err error) bool { return err != nil && !Refused(err) }

// Code is the RPC code of err; empty when it has none.
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
