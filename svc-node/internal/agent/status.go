package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sense"
)

// spooled is a message of a spool.
type spooled = proto.Message

// ErrNotFound marks that something asked for is not on this node.
var ErrNotFound = errors.New("not on this node")

// wantStatus says that svc-master should hear of our status.
func (a *Agent) wantStatus() {
	select {
	case a.statusWanted <- struct{}{}:
	default:
	}
}

// waiting is how much waits to be sent, dropped how much was thrown away.
func (a *Agent) waiting() (waiting int, dropped uint64) {
	groups, lost := a.senses.Waiting()
	return groups + a.bangs.Len() + a.reports.Len() + a.usages.Len(), lost + a.bangs.Dropped() + a.reports.Dropped() + a.usages.Dropped()
}

func (a *Agent) nodeStatus() *masterv1.NodeStatus {
	waiting, dropped := a.waiting()
	return &masterv1.NodeStatus{Running: uint32(a.node.Load().Running()), Spooled: uint32(waiting), Dropped: dropped}
}

// Status is what the node is doing.
func (a *Agent) Status() *nodev1.GetStatusResponse {
	waiting, _ := a.waiting()
	status := &nodev1.GetStatusResponse{Computer: a.s.Computer, Version: a.s.Version, Spooled: uint32(waiting)}
	if err := a.disk.Err(); err != nil {
		status.Disk = err.Error()
	}
	a.mu.Lock()
	for _, name := range []string{linkLink, linkDesired, linkOrders, linkSense} {
		l := a.links[name]
		status.Links = append(status.Links, &nodev1.LinkState{Name: name, Connected: l.connected, Since: wellknown.Timestamp(l.since), Error: l.err})
	}
	a.mu.Unlock()
	for _, p := range a.node.Load().Partitions() {
		status.Partitions = append(status.Partitions, &nodev1.PartitionState{
			Partition: p.Name, AllocationId: p.Desired.AllocationID, Title: contentOf(p.Desired).GetTitle(),
			State: typev1.RequestedState(p.Desired.Requested), RunId: p.InProgress(), Latest: typev1.RunResult(p.Latest),
			Error: a.errorOf(p.Name), EndedAt: wellknown.Timestamp(p.EndedAt), Problems: a.problemsOf(p.Name),
		})
	}
	return status
}

// RunPromises senses promises of a partition for a person; nothing is reported.
func (a *Agent) RunPromises(ctx context.Context, name string, promises []string) (*nodev1.RunPromisesResponse, error) {
	answers := map[string]*nodev1.SensePromisesResponse{}
	err := a.SensePromises(ctx, &nodev1.SensePromisesRequest{Partition: name, Promises: promises}, func(r *nodev1.SensePromisesResponse) error {
		answers[r.GetPromise()] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	response := &nodev1.RunPromisesResponse{}
	for _, promise := range slices.Sorted(maps.Keys(answers)) {
		if r := answers[promise]; r.GetGroup() != nil {
			response.Groups = append(response.Groups, r.GetGroup())
			response.Verdicts = append(response.Verdicts, r.GetVerdict())
		}
	}
	return response, nil
}

// SensePromises senses promises of a partition for a person, and tells each as soon as it is sensed.
func (a *Agent) SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, tell func(*nodev1.SensePromisesResponse) error) error {
	directory, err := a.held(r.GetPartition())
	if err != nil {
		return err
	}
	return a.senses.ByHand(ctx, sense.ByHand{
		Directory: directory, AllocationID: a.node.Load().Partition(r.GetPartition()).Desired.AllocationID, Names: r.GetPromises(),
		Anomaly: r.GetCheckAnomaly(), Dry: r.GetDryRun(), Debug: r.GetDebug(), Timeout: time.Duration(r.GetTimeoutSeconds() * float64(time.Second)),
	}, tell)
}

// ErrCannotPlan says that the installer cannot tell what it would do.
var ErrCannotPlan = errors.New("cannot plan: this node's installer does not tell what it would do")

// Plan is what a run of a partition would change.
func (a *Agent) Plan(ctx context.Context, name string) (*nodev1.PlanResponse, error) {
	planner, ok := a.s.Installer.(Planner)
	if !ok {
		return nil, ErrCannotPlan
	}
	if _, err := a.held(name); err != nil {
		return nil, err
	}
	installation, err := a.engine.Installation(contentOf(a.node.Load().Partition(name).Desired))
	if err != nil {
		return nil, err
	}
	return planner.Plan(ctx, installation)
}

// held is the directory of a partition that holds something.
func (a *Agent) held(name string) (partition.Directory, error) {
	if p := a.node.Load().Partition(name); p.Phase == converge.Free || p.Desired.AllocationID == "" {
		return partition.Directory{}, fmt.Errorf("cannot find partition %q: %w", name, ErrNotFound)
	}
	return a.s.Root.Directory(name)
}
