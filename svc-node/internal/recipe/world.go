package recipe

import (
	"context"
	"errors"
	"io"
)

// ErrNotAvailable marks errors that mean "not yet", though nothing is wrong: a requested instance is not
// allocated, or has not published what is asked of it. A run that ends with it is reported as waiting and tried
// again with the delay for such cases, which grows to ten minutes only (docs/rules.md, growing delay).
var ErrNotAvailable = errors.New("not available yet")

// World is what recipes need of the master and of the machine. The agent implements it for one run of one
// partition; calls come from one goroutine.
type World interface {
	// Request asks for an instance on behalf of this partition and tells what is known of it. It is idempotent by
	// title. An instance that is not ready is no error: Ready is false and Reason says what is missing.
	// With Peek nothing may be requested or changed: only what is known is told.
	Request(ctx context.Context, r Request) (Instance, error)
	// Published returns the connection parameters this instance publishes now: its own, or for a shared instance that it hosts, by its reference.
	Published(ctx context.Context, shared string) (map[string]string, error)
	// Publish replaces them. It is called only when they differ from Published.
	Publish(ctx context.Context, shared string, parameters map[string]string) error
	// FreePort gives a part a TCP port that nothing listens on and no other part of this computer was given.
	FreePort(ctx context.Context, want Port) (int, error)
	// Random is a source of secrets.
	Random() io.Reader
	// Exec runs a shell command as the partition's user in the partition's directory. A non-zero exit is an
	// error, whose text ends with the command's last output.
	Exec(ctx context.Context, command string) error
	// Execute runs a program in the same way, with umask 027, and tells it nothing but its arguments.
	Execute(ctx context.Context, program string, arguments ...string) error
	// Python runs a program in the same way, with the Python of the software release or else the machine's, gives it input
	// and returns what it wrote to its standard output, at most MaxPythonBytes. A non-zero exit is an error, whose text ends
	// with what it wrote last to its standard error.
	Python(ctx context.Context, program string, input []byte) ([]byte, error)
}

// MaxPythonBytes bounds what a Python program of a profile answers: what it installs is at most 16 MiB, in base64.
const MaxPythonBytes = 32 << 20

// Python is World.Python. In a plan, where nothing is run, the answer of Work.Python is nil, and that of Init.Python
// ErrNotAvailable.
type Python func(ctx context.Context, program string, input []byte) ([]byte, error)

// Port is what a part asks for.
type Port struct {
	// Part is who asks: Init.Part.
	Part string
	// Address is where it will listen, Low and High bound the port, inclusive.
	Address   string
	Low, High int
	// Kept is what it was given before, 0 = nothing: it stays, unless another part has it.
	Kept int
	// Peek only asks which one it would be.
	Peek bool
}

// Request is what a part asks of the master.
type Request struct {
	// Title names the instance within the tree.
	Title string
	// Release is the URL of the software release, Type the software type.
	Release, Type string
	Parameters    map[string]string
	// SLA restricts where the instance may be allocated; computer_guid names a computer.
	SLA map[string]string
	// State is started, stopped or destroyed; empty leaves the state to the master.
	State string
	// Return names the connection parameters wanted.
	Return []string
	// Shared asks for a shared instance.
	Shared bool
	// Peek asks what is known, without requesting.
	Peek bool
}

// Instance is what the master answers.
type Instance struct {
	// Ready says that the instance is allocated and its connection parameters may be used.
	Ready bool
	// Reason says why it is not ready, for people.
	Reason string
	// Connection are the parameters it publishes, as it published them.
	Connection map[string]string
	// GUID identifies the instance, State is its requested state.
	GUID, State string
}
