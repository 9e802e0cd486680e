package run

import (
	"context"
	"encoding/json"
	"errors"
	"maps"

	"go.opentelemetry.io/otel/trace"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
	"github.com/vow-os/vow/svc-node/supervise"
)

// releaseStep finds the installed release. It never installs: that is done beside the runs, one at a time.
func (e *Engine) releaseStep(_ context.Context, w *work) (bool, error) {
	directory, err := e.s.Releases.Ensure(w.desired.GetSoftwareRelease())
	w.release = directory
	return false, err
}

// profileStep brings the directory to what the profile says.
func (e *Engine) profileStep(ctx context.Context, w *work) (bool, error) {
	w.requested = &masterv1.RequestedByRun{}
	changed, err := e.s.Installer.Install(ctx, Installation{
		Environment: environment(e.s, w),
		User:        w.directory.User,
		Release:     w.release,
		World:       e.newWorld(w),
		Part: func(ctx context.Context, name string) (context.Context, func(error)) {
			ctx, span := e.tracer.Start(ctx, conv.PartSpan(name), trace.WithAttributes(conv.PartName.String(name)))
			return ctx, func(err error) {
				if err != nil {
					span.SetAttributes(conv.ErrorType.String(classify(ctx, converge.AtProfile, err).ErrorType))
				}
				span.End()
			}
		},
	})
	w.whole = err == nil
	return changed, err
}

// Installation is what a run of a partition would install, to plan it without a run.
func (e *Engine) Installation(desired *masterv1.DesiredPartition) (Installation, error) {
	directory, err := e.s.Root.Directory(desired.GetPartition())
	if err != nil {
		return Installation{}, err
	}
	release, err := e.s.Releases.Ensure(desired.GetSoftwareRelease())
	if err != nil {
		return Installation{}, err
	}
	w := &work{desired: desired, directory: directory, release: release}
	return Installation{Environment: environment(e.s, w), User: directory.User, Release: release, World: e.newWorld(w)}, nil
}

func environment(s Settings, w *work) profile.Environment {
	d := w.desired
	env := profile.Environment{
		BuildoutDirectory:  w.directory.Path,
		Parameters:         parameters(d),
		SoftwareReleaseURL: d.GetSoftwareRelease(), SoftwareType: d.GetSoftwareType(),
		ComputerID: s.Computer, PartitionID: d.GetPartition(), ServerURL: s.ServerURL,
		RequestedState: requested(d).String(),
		InstanceTitle:  d.GetTitle(), RootInstanceTitle: d.GetRootTitle(), InstanceGUID: d.GetInstanceId(),
		Executable: s.Executable,
	}
	for _, address := range d.GetAddresses() {
		if isIPv6(address) {
			env.IPv6 = append(env.IPv6, address)
		} else {
			env.IPv4 = append(env.IPv4, address)
		}
	}
	return env
}

// parameters are the instance's, and the list of the shared instances that it hosts, as SlapOS spells it.
func parameters(d *masterv1.DesiredPartition) map[string]string {
	if len(d.GetHosted()) == 0 {
		return d.GetParameters()
	}
	list := make([]map[string]any, 0, len(d.GetHosted()))
	for _, h := range d.GetHosted() {
		one := make(map[string]any, len(h.GetParameters())+4)
		for name, value := range h.GetParameters() {
			one[name] = value
		}
		one["slave_reference"], one["slave_title"], one["slap_software_type"] = h.GetInstanceId(), h.GetTitle(), h.GetSoftwareType()
		one["timestamp"] = h.GetChangedAt().AsTime().UnixMicro()
		list = append(list, one)
	}
	text, _ := json.Marshal(list) // texts and numbers: it cannot fail
	all := maps.Clone(d.GetParameters())
	if all == nil {
		all = map[string]string{}
	}
	all[recipe.SharedInstances] = string(text)
	return all
}

func requested(d *masterv1.DesiredPartition) converge.Requested {
	return converge.Requested(d.GetState())
}

// servicesStep hands the wanted processes to the supervisor and waits until it has them; of a stopped or destroyed instance
// none is wanted.
func (e *Engine) servicesStep(ctx context.Context, w *work) (bool, error) {
	var wanted []supervise.Process
	if requested(w.desired) == converge.Started {
		processes, err := w.directory.Processes(e.s.Revisions)
		if err != nil {
			return false, err
		}
		e.s.Policy.Apply(processes)
		wanted = processes
	} else {
		e.s.Senses.Unwatch(w.run.Partition)
	}
	units, err := e.s.Supervisor.List(ctx, w.run.Partition)
	if err != nil {
		return false, internal(err)
	}
	changed := !same(units, wanted)
	if changed {
		if err := e.s.Supervisor.Apply(ctx, w.run.Partition, wanted); err != nil {
			return false, internal(err)
		}
	}
	if changed || unsettled(units) {
		if units, err = e.s.Supervisor.Settle(ctx, w.run.Partition); err != nil {
			return changed, internal(err)
		}
	}
	for _, u := range units {
		if u.Process.Kind == supervise.Service && u.RanSince.After(w.started) {
			w.started = u.RanSince
		}
	}
	return changed, nil
}

// same tells whether the supervisor has exactly the wanted processes, and all of them up.
func same(units []supervise.Unit, wanted []supervise.Process) bool {
	if len(units) != len(wanted) {
		return false
	}
	byKey := make(map[supervise.Key]supervise.Unit, len(units))
	for _, u := range units {
		byKey[u.Process.Key] = u
	}
	for _, p := range wanted {
		if u, ok := byKey[p.Key]; !ok || u.Want != supervise.Up || u.Process.Rank != p.Rank || !u.Process.Equal(p) {
			return false
		}
	}
	return true
}

func unsettled(units []supervise.Unit) bool {
	for _, u := range units {
		if !u.State.Settled() {
			return true
		}
	}
	return false
}

// promisesStep senses and evaluates every promise.
func (e *Engine) promisesStep(ctx context.Context, w *work) (bool, error) {
	if err := e.s.Senses.Watch(w.directory, w.run.AllocationID); err != nil {
		return false, err
	}
	tested, err := e.s.Senses.Test(ctx, Test{
		Directory: w.directory, AllocationID: w.run.AllocationID, RunID: w.run.RunID, Started: w.started, Span: w.span,
	})
	if err != nil {
		return false, internal(err)
	}
	w.tested = tested
	verdicts := make([]converge.Tested, len(tested.Verdicts))
	for i, v := range tested.Verdicts {
		verdicts[i] = converge.Tested{Promise: v.GetPromise(), Failed: v.GetTestFailed() && v.GetMute() == nil, Message: v.GetMessage()}
	}
	if result, message := converge.Verdict(verdicts); result != converge.Success {
		return false, errors.New(message)
	}
	return false, nil
}
