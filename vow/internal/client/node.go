package client

import (
	"context"

	"github.com/vow-os/vow/console/relay"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
)

// Node is a node, however it is reached.
type Node interface {
	GetStatus(ctx context.Context, r *nodev1.GetStatusRequest) (*nodev1.GetStatusResponse, error)
	Plan(ctx context.Context, r *nodev1.PlanRequest) (*nodev1.PlanResponse, error)
	ListProcesses(ctx context.Context, r *nodev1.ListProcessesRequest) (*nodev1.ListProcessesResponse, error)
	ControlProcess(ctx context.Context, r *nodev1.ControlProcessRequest) (*nodev1.ControlProcessResponse, error)
	// Logs and SensePromises call take for each message, until the stream ends.
	Logs(ctx context.Context, r *nodev1.LogsRequest, take func(*nodev1.LogsResponse) error) error
	SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, take func(*nodev1.SensePromisesResponse) error) error
}

// NodeOf is the node of a computer: at its own socket when that is on this machine, through svc-master else.
func (f *Fleet) NodeOf(computer string) Node {
	if f.Node != nil && f.Endpoints.Computer == computer {
		return AtSocket(f.Node)
	}
	return relay.To(f.Links, computer)
}

// AtSocket is the node of this machine.
func AtSocket(c nodev1connect.NodeServiceClient) Node { return atSocket{c} }

type atSocket struct {
	nodev1connect.NodeServiceClient
}

func (n atSocket) Logs(ctx context.Context, r *nodev1.LogsRequest, take func(*nodev1.LogsResponse) error) error {
	stream, err := n.NodeServiceClient.Logs(ctx, r)
	return relay.Each(stream, err, take)
}

func (n atSocket) SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, take func(*nodev1.SensePromisesResponse) error) error {
	stream, err := n.NodeServiceClient.SensePromises(ctx, r)
	return relay.Each(stream, err, take)
}
