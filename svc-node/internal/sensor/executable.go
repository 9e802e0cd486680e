package sensor

import (
	"context"
	"fmt"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// MaxCharacters is how much of a sensor's output is kept: the last ones, which hold the error.
const MaxCharacters = child.MaxCharacters

// Executable senses by executing the promise's file. Build it with NewExecutable.
type Executable struct{ runner *child.Runner }

// NewExecutable makes the sensor of executables.
func NewExecutable(runner *child.Runner) Executable { return Executable{runner: runner} }

// Sense executes the sensor and tells what it recorded: entries, and an error if it could not be executed at all. It ends
// with its time-out, or with ctx.
func (e Executable) Sense(ctx context.Context, r Request) *typev1.SenseGroup {
	result := e.runner.Run(ctx, child.Command{
		Partition: r.Directory, Path: r.Promise.Path, Env: r.Env, User: r.User, Timeout: r.Promise.Timeout,
	})
	text := result.Text()
	switch {
	case result.NotStarted != "":
		return &typev1.SenseGroup{Error: "cannot execute " + r.Promise.File + ": " + result.NotStarted}
	case result.Stopped:
		return &typev1.SenseGroup{Error: "cannot sense " + r.Promise.File + ": stopped"}
	case result.TimedOut:
		return failed(fmt.Sprintf("timed out after %s", r.Promise.Timeout), text)
	case result.Passed():
		return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: text}}}
	}
	return failed(result.Ending(), text)
}

// failed tells how the sensor ended, then the end of what it said; people read the beginning.
func failed(how, text string) *typev1.SenseGroup {
	message := how
	if text != "" {
		message = how + ": " + child.Last(text, MaxCharacters-len(how)-2)
	}
	return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: message}}}
}
