package sensor

import (
	"context"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// Request is one execution of a sensor.
type Request struct {
	Partition string
	// Directory is the partition's, absolute: the working directory.
	Directory string
	Promise   Promise
	// Env is the whole environment.
	Env []string
	// User is the partition's: who the promise's code runs as, and as whom files are opened for it.
	User privilege.User
	// Asked says that a run tests the promise; else its own periodicity asks.
	Asked bool
	// Dry says that the sensing leaves nothing behind: what the sensor itself would write (a Python promise's log and
	// result) is not written.
	Dry bool
	// Debug has a Python promise log its debug entries too.
	Debug bool
	// LogFolder is where a Python promise has its log, absolute; empty = .slapgrid/promise/log of the partition.
	LogFolder string
	// Learned, if not nil, takes what only the sensor can know of the promise, before Sense returns.
	Learned func(Traits)
}

// Traits is what a promise says of itself when it is executed, as a Python promise does in its constructor.
type Traits struct {
	// Period is the time between two sensings without a run; 0 = not said.
	Period                time.Duration
	Testless, Anomalyless bool
}

// Sensor executes the sensors of a kind and tells what they recorded: entries, a value, windows, and an error if it could
// not be executed at all. Name, sequence, time, kind and run are the caller's to fill in. Sense ends with the promise's
// time-out, or with ctx.
type Sensor interface {
	Sense(ctx context.Context, r Request) *typev1.SenseGroup
}

// Kinds dispatches by the kind of a promise. Promises of a kind that it lacks are not sensed.
type Kinds map[typev1.PromiseKind]Sensor

// NewKinds makes the sensors of the kinds that this process senses itself: executables and built-ins.
func NewKinds() Kinds {
	runner := child.NewRunner()
	return Kinds{KindExecutable: NewExecutable(runner), KindBuiltin: NewBuiltin(runner)}
}

// Sense hands a request to the sensor of its kind.
func (k Kinds) Sense(ctx context.Context, r Request) *typev1.SenseGroup {
	if r.Promise.Broken != "" {
		return &typev1.SenseGroup{Error: r.Promise.Broken}
	}
	s, ok := k[r.Promise.Kind]
	if !ok {
		return &typev1.SenseGroup{Error: "cannot sense " + r.Promise.File + ": this node senses no promises of its kind"}
	}
	return s.Sense(ctx, r)
}

// Sweep ends processes of sensors that are over, in the given directories of partitions, and names them.
func (k Kinds) Sweep(directories []string) []string {
	if e, ok := k[KindExecutable].(Executable); ok {
		return e.runner.Sweep(directories)
	}
	return nil
}

// Files reports whether the files that SlapOS's tools read are still to be written for promises of a kind: Python promises
// write their own.
func (k Kinds) Files(kind typev1.PromiseKind) bool { return kind != KindPython }

// Senses reports whether promises of a kind are sensed.
func (k Kinds) Senses(kind typev1.PromiseKind) bool { return k[kind] != nil }
