package client

import (
	"context"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
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
	return relayed{f.Links, computer}
}

// AtSocket is the node of this machine.
func AtSocket(c nodev1connect.NodeServiceClient) Node { return atSocket{c} }

type atSocket struct {
	nodev1connect.NodeServiceClient
}

func (n atSocket) Logs(ctx context.Context, r *nodev1.LogsRequest, take func(*nodev1.LogsResponse) error) error {
	stream, err := n.NodeServiceClient.Logs(ctx, r)
	return each(stream, err, take)
}

func (n atSocket) SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, take func(*nodev1.SensePromisesResponse) error) error {
	stream, err := n.NodeServiceClient.SensePromises(ctx, r)
	return each(stream, err, take)
}

// received is a server's stream.
type received[M any] interface {
	Receive() bool
	Msg() *M
	Err() error
	Close() error
}

func each[M any](stream received[M], err error, take func(*M) error) error {
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // only read from
	for stream.Receive() {
		if err := take(stream.Msg()); err != nil {
			return err
		}
	}
	return stream.Err()
}

// relayed is a node behind svc-master.
type relayed struct {
	links    masterv1connect.LinkServiceClient
	computer string
}

func (n relayed) GetStatus(ctx context.Context, r *nodev1.GetStatusRequest) (*nodev1.GetStatusResponse, error) {
	return call(ctx, n, nodev1connect.NodeServiceGetStatusProcedure, r, new(nodev1.GetStatusResponse))
}

func (n relayed) Plan(ctx context.Context, r *nodev1.PlanRequest) (*nodev1.PlanResponse, error) {
	return call(ctx, n, nodev1connect.NodeServicePlanProcedure, r, new(nodev1.PlanResponse))
}

func (n relayed) ListProcesses(ctx context.Context, r *nodev1.ListProcessesRequest) (*nodev1.ListProcessesResponse, error) {
	return call(ctx, n, nodev1connect.NodeServiceListProcessesProcedure, r, new(nodev1.ListProcessesResponse))
}

func (n relayed) ControlProcess(ctx context.Context, r *nodev1.ControlProcessRequest) (*nodev1.ControlProcessResponse, error) {
	return call(ctx, n, nodev1connect.NodeServiceControlProcessProcedure, r, new(nodev1.ControlProcessResponse))
}

func (n relayed) Logs(ctx context.Context, r *nodev1.LogsRequest, take func(*nodev1.LogsResponse) error) error {
	return stream(ctx, n, nodev1connect.NodeServiceLogsProcedure, r, func() *nodev1.LogsResponse { return new(nodev1.LogsResponse) }, take)
}

func (n relayed) SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, take func(*nodev1.SensePromisesResponse) error) error {
	return stream(ctx, n, nodev1connect.NodeServiceSensePromisesProcedure, r, func() *nodev1.SensePromisesResponse { return new(nodev1.SensePromisesResponse) }, take)
}

func call[Res proto.Message](ctx context.Context, n relayed, method string, r proto.Message, into Res) (Res, error) {
	encoded, err := proto.Marshal(r)
	if err != nil {
		return into, err
	}
	answer, err := n.links.CallNode(ctx, &masterv1.CallNodeRequest{Computer: n.computer, Method: method, Request: encoded})
	if err != nil {
		return into, err
	}
	return into, proto.Unmarshal(answer.GetResponse(), into)
}

func stream[M proto.Message](ctx context.Context, n relayed, method string, r proto.Message, empty func() M, take func(M) error) error {
	encoded, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	answers, err := n.links.StreamNode(ctx, &masterv1.StreamNodeRequest{Computer: n.computer, Method: method, Request: encoded})
	return each(answers, err, func(a *masterv1.StreamNodeResponse) error {
		message := empty()
		if err := proto.Unmarshal(a.GetResponse(), message); err != nil {
			return err
		}
		return take(message)
	})
}
