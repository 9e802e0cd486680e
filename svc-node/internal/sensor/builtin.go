package sensor

import (
	"context"
	"fmt"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// Builtin senses with the sensors of package builtin. Build it with NewBuiltin.
type Builtin struct{ machine *builtin.Machine }

// NewBuiltin makes the sensor of built-ins; the runner executes the commands of those that execute one.
func NewBuiltin(runner *child.Runner) Builtin { return Builtin{machine: builtin.NewMachine(runner)} }

// Sense executes the built-in in this process, as the partition's user where it touches anything of the user's.
func (b Builtin) Sense(ctx context.Context, r Request) *typev1.SenseGroup {
	if r.Promise.Check == nil {
		return &typev1.SenseGroup{Error: "cannot sense " + r.Promise.File + ": it is no declaration of a built-in sensor"}
	}
	ctx, cancel := context.WithTimeout(ctx, r.Promise.Timeout)
	defer cancel()
	g := r.Promise.Check.Sense(ctx, b.machine, builtin.Place{
		Partition: r.Partition, Directory: r.Directory, Env: r.Env, User: r.User, Timeout: r.Promise.Timeout,
	})
	if ctx.Err() == context.DeadlineExceeded {
		g.Entries = append(g.Entries, &typev1.LogEntry{
			Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: fmt.Sprintf("timed out after %s", r.Promise.Timeout),
		})
	}
	return g
}
