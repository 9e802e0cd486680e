package profile

import (
	"errors"
	"fmt"
	"strings"
)

// Position is a place in a profile file; lines count from 1. Line 0 means the environment, not a file.
type Position struct {
	File string
	Line int
}

// String is "file:line", or what stands for it when a value comes from no file.
func (p Position) String() string {
	if p.Line == 0 {
		if p.File == "" {
			return "environment"
		}
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Error is what is wrong with a profile, and where. It is the author's to repair: trying again without a
// change cannot help.
type Error struct {
	// Position is where; zero when the place is not in a file.
	Position Position
	// Section and Option are empty when the error is not about one.
	Section, Option string
	// Problem starts with "cannot".
	Problem string
	// Suggestion is what was probably meant, or empty.
	Suggestion string
	// Cause is the error underneath, or nil.
	Cause error
}

// Error is "file:line: [section] option: cannot …; did you mean …?".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Position.String())
	b.WriteString(": ")
	if e.Section != "" {
		b.WriteString("[" + e.Section + "] ")
	}
	if e.Option != "" {
		b.WriteString(e.Option + ": ")
	} else if e.Section != "" {
		b.WriteString(": ")
	}
	out := strings.Replace(b.String(), "] : ", "]: ", 1) + e.Problem
	if e.Suggestion != "" {
		out += "; did you mean " + fmt.Sprintf("%q", e.Suggestion) + "?"
	}
	return out
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Unavailable says that a value is not known yet, though nothing is wrong: a requested instance has not
// published it. What refers to it waits, and a later run gets further.
type Unavailable struct {
	// Section is the section whose recipe could not tell the value.
	Section string
	// Reason is for people, and says what is waited for.
	Reason string
}

// Error implements error.
func (u *Unavailable) Error() string {
	return fmt.Sprintf("cannot go on with [%s] yet: %s", u.Section, u.Reason)
}

// asUnavailable finds an Unavailable in err, or nil.
func asUnavailable(err error) *Unavailable {
	var u *Unavailable
	if errors.As(err, &u) {
		return u
	}
	return nil
}
