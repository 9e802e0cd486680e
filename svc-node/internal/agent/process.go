package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/supervise"
)

// Measurer is the optional behaviour of a Supervisor that knows what processes use.
type Measurer interface {
	// Measure is List with what the processes use.
	Measure(ctx context.Context, partition string) ([]supervise.Status, error)
}

// Hander is the optional behaviour of a Supervisor that lets an operator act on one process.
type Hander interface {
	// Hand starts, stops or restarts one process, until the next Apply of its partition.
	Hand(ctx context.Context, key supervise.Key, action supervise.Action) error
}

// ErrCannotControl says that a process cannot be started, stopped or restarted now.
var ErrCannotControl = errors.New("its supervisor does not do that now")

// Processes are the supervised processes of a partition, or of all if it is empty.
func (a *Agent) Processes(ctx context.Context, name string) ([]*nodev1.Process, error) {
	units, err := a.measure(ctx, name)
	if err != nil {
		return nil, err
	}
	if name != "" && len(units) == 0 {
		if _, err := a.held(name); err != nil {
			return nil, err
		}
	}
	var processes []*nodev1.Process
	for _, u := range units {
		if u.Process.Partition != "" { // the agent itself
			processes = append(processes, processOf(u))
		}
	}
	slices.SortFunc(processes, func(x, y *nodev1.Process) int {
		if c := strings.Compare(x.GetPartition(), y.GetPartition()); c != 0 {
			return c
		}
		return strings.Compare(x.GetName(), y.GetName())
	})
	return processes, nil
}

// measure lists units with what they use, if the supervisor knows.
func (a *Agent) measure(ctx context.Context, partition string) ([]supervise.Status, error) {
	if m, ok := a.s.Supervisor.(Measurer); ok {
		return m.Measure(ctx, partition)
	}
	units, err := a.s.Supervisor.List(ctx, partition)
	all := make([]supervise.Status, len(units))
	for i, u := range units {
		all[i].Unit = u
	}
	return all, err
}

func processOf(u supervise.Status) *nodev1.Process {
	p := &nodev1.Process{
		Partition: u.Process.Partition, Name: u.Process.Name, State: u.State.String(), Pid: uint32(max(0, u.PID)),
		Since: wellknown.Timestamp(u.Since), Restarts: uint32(max(0, u.Restarts)), LastExit: u.Last, Watched: u.Process.Watched,
		CpuSeconds: u.CPU.Seconds(), MemoryBytes: uint64(max(0, u.Memory)), Problem: u.Problem,
	}
	if u.State == supervise.Delayed {
		p.NextTry = wellknown.Timestamp(u.Due)
	}
	return p
}

// Control starts, stops or restarts a process for a person, and returns it when it has settled.
func (a *Agent) Control(ctx context.Context, key supervise.Key, action supervise.Action) (*nodev1.Process, error) {
	if _, err := a.process(ctx, string(action), key); err != nil {
		return nil, err
	}
	hander, ok := a.s.Supervisor.(Hander)
	if !ok {
		return nil, fmt.Errorf("cannot %s %s: %w", action, key, ErrCannotControl)
	}
	a.s.Telemetry.Log.InfoContext(ctx, "a person acts on a process", "process", key.String(), "action", string(action))
	if err := hander.Hand(ctx, key, action); err != nil {
		return nil, err
	}
	if _, err := a.s.Supervisor.Settle(ctx, key.Partition); err != nil {
		return nil, err
	}
	u, err := a.process(ctx, string(action), key)
	if err != nil {
		return nil, err
	}
	if u.Want == supervise.Gone {
		return nil, fmt.Errorf("cannot %s %s: it is no longer defined: %w", action, key, ErrCannotControl)
	}
	return processOf(u), nil
}

// process finds one process; what says for what.
func (a *Agent) process(ctx context.Context, what string, key supervise.Key) (supervise.Status, error) {
	units, err := a.measure(ctx, key.Partition)
	if err != nil {
		return supervise.Status{}, err
	}
	for _, u := range units {
		if u.Process.Key == key {
			return u, nil
		}
	}
	return supervise.Status{}, fmt.Errorf("cannot %s %s: no such process (`vow node ps` shows all): %w", what, key, ErrNotFound)
}

// Log is the file with the output of a process, and the user as whom it is to be opened.
func (a *Agent) Log(ctx context.Context, name, process string) (string, privilege.User, error) {
	u, err := a.process(ctx, "show the output of", supervise.Key{Partition: name, Name: process})
	if err != nil {
		return "", privilege.User{}, err
	}
	if u.Process.Log.Path == "" {
		return "", privilege.User{}, fmt.Errorf("cannot show the output of %s: it is discarded: %w", u.Process.Key, ErrNotFound)
	}
	return u.Process.Log.Path, privilege.Of(u.Process.Account), nil
}
