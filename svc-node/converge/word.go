package converge

import "fmt"

// Generation numbers every change and bang of an instance tree; a newer epoch wins over any number.
type Generation struct{ Epoch, Number uint64 }

// Less orders generations by epoch, then by number.
func (g Generation) Less(other Generation) bool {
	if g.Epoch != other.Epoch {
		return g.Epoch < other.Epoch
	}
	return g.Number < other.Number
}

// Requested is what is wanted of an instance. The numbers are those of the contract.
type Requested uint8

// The requested states.
const (
	Started Requested = iota + 1
	Stopped
	Destroyed
)

// String returns the state's name.
func (r Requested) String() string {
	switch r {
	case Started:
		return "started"
	case Stopped:
		return "stopped"
	case Destroyed:
		return "destroyed"
	}
	return fmt.Sprintf("requested state %d", uint8(r))
}

// Cause is why a run happens. The numbers are those of the contract and the order in which causes win.
type Cause uint8

// The causes.
const (
	Manual Cause = iota + 1
	Bang
	Changed
	Boot
	Retry
	Periodicity
)

// String returns the cause's name.
func (c Cause) String() string {
	names := [...]string{Manual: "manual", Bang: "bang", Changed: "changed", Boot: "boot", Retry: "retry", Periodicity: "periodicity"}
	if int(c) < len(names) && names[c] != "" {
		return names[c]
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// Result is how a run or a step ended. The numbers are those of the contract.
type Result uint8

// The results. A run that fails because of the user's software is a Failure, because of vow an Error.
const (
	Success Result = iota + 1
	Failure
	Timeout
	Cancellation
	Skip
	Error
)

// String returns the result's name.
func (r Result) String() string {
	names := [...]string{
		Success: "success", Failure: "failure", Timeout: "timeout", Cancellation: "cancellation", Skip: "skip", Error: "error",
	}
	if int(r) < len(names) && names[r] != "" {
		return names[r]
	}
	return fmt.Sprintf("result %d", uint8(r))
}

// Classes of errors that a report names (docs/architecture.md, svc-node).
const (
	TypeRelease      = "release"
	TypeDisk         = "disk"
	TypeProfile      = "profile"
	TypeNotAvailable = "not_available"
	TypeServices     = "services"
	TypePromise      = "promise"
	TypeTimeout      = "timeout"
	TypeInternal     = "internal"
)
