package api

import (
	"context"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-node/internal/peer"
)

// Master is svc-master as the agent sees it.
type Master struct {
	computers masterv1connect.ComputerServiceClient
	runs      masterv1connect.RunServiceClient
	bangs     masterv1connect.BangServiceClient
	usage     masterv1connect.UsageServiceClient
	software  masterv1connect.SoftwareServiceClient
	instances masterv1connect.InstanceServiceClient
	desired   masterv1connect.DesiredServiceClient
	links     masterv1connect.LinkServiceClient
}

var _ peer.Master = (*Master)(nil)

// NewMaster makes the clients; they share one connection.
func NewMaster(c *rpc.Client) *Master {
	return &Master{
		computers: masterv1connect.NewComputerServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		runs:      masterv1connect.NewRunServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		bangs:     masterv1connect.NewBangServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		usage:     masterv1connect.NewUsageServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		software:  masterv1connect.NewSoftwareServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		instances: masterv1connect.NewInstanceServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		desired:   masterv1connect.NewDesiredServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		links:     masterv1connect.NewLinkServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
	}
}

// Register declares the computer.
func (m *Master) Register(ctx context.Context, r *masterv1.RegisterComputerRequest) error {
	_, err := m.computers.RegisterComputer(ctx, r)
	return peerError(err)
}

// BeginRun begins a run.
func (m *Master) BeginRun(ctx context.Context, r *masterv1.BeginRunRequest) (*masterv1.BeginRunResponse, error) {
	answer, err := m.runs.BeginRun(ctx, r)
	return answer, peerError(err)
}

// ReportRun reports one.
func (m *Master) ReportRun(ctx context.Context, r *masterv1.ReportRunRequest) (*masterv1.ReportRunResponse, error) {
	answer, err := m.runs.ReportRun(ctx, r)
	return answer, peerError(err)
}

// ReportUsage adds samples.
func (m *Master) ReportUsage(ctx context.Context, r *masterv1.ReportUsageRequest) error {
	_, err := m.usage.ReportUsage(ctx, r)
	return peerError(err)
}

// Bang tells what was noticed.
func (m *Master) Bang(ctx context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	answer, err := m.bangs.Bang(ctx, r)
	return answer, peerError(err)
}

// ReportSoftwareState says how far a release is.
func (m *Master) ReportSoftwareState(ctx context.Context, r *masterv1.ReportSoftwareStateRequest) (*masterv1.ReportSoftwareStateResponse, error) {
	answer, err := m.software.ReportSoftwareState(ctx, r)
	return answer, peerError(err)
}

// RequestInstance requests an instance.
func (m *Master) RequestInstance(ctx context.Context, r *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	answer, err := m.instances.RequestInstance(ctx, r)
	return answer, peerError(err)
}

// ListInstances returns the instances of a tree.
func (m *Master) ListInstances(ctx context.Context, treeID string) ([]*masterv1.Instance, error) {
	answer, err := m.instances.ListInstances(ctx, &masterv1.ListInstancesRequest{Of: &masterv1.ListInstancesRequest_TreeId{TreeId: treeID}})
	return answer.GetInstances(), peerError(err)
}

// SetConnectionParameters publishes.
func (m *Master) SetConnectionParameters(ctx context.Context, r *masterv1.SetConnectionParametersRequest) error {
	_, err := m.instances.SetConnectionParameters(ctx, r)
	return peerError(err)
}

// WatchDesired follows the desired state.
func (m *Master) WatchDesired(ctx context.Context, r *masterv1.WatchDesiredRequest, take func(*masterv1.WatchDesiredResponse)) error {
	stream, err := m.desired.WatchDesired(ctx, r)
	return follow(stream, err, take)
}

// follow passes the messages of a server's stream on until it ends.
func follow[M any](stream *connect.ServerStreamForClient[M], err error, take func(*M)) error {
	if err != nil {
		return streamError(err)
	}
	for stream.Receive() {
		take(stream.Msg())
	}
	err = stream.Err()
	_ = stream.Close() // it has ended
	return streamError(err)
}

// Link opens the stream of operators' calls.
func (m *Master) Link(ctx context.Context, hello *masterv1.LinkHello) (peer.LinkStream, error) {
	stream, err := m.links.Link(ctx)
	if err != nil {
		return nil, streamError(err)
	}
	return begin(ctx, stream, &masterv1.LinkRequest{Message: &masterv1.LinkRequest_Hello{Hello: hello}})
}

// duplex is a stream both ways.
type duplex[Up, Down any] struct {
	stream *connect.BidiStreamForClientSimple[Up, Down]
	stop   func() bool
}

// begin sends the first message. When ctx ends, our side is closed: net/http notices the end of a request's context only
// between two reads of its body, and our body is silent for hours.
func begin[Up, Down any](ctx context.Context, stream *connect.BidiStreamForClientSimple[Up, Down], hello *Up) (duplex[Up, Down], error) {
	d := duplex[Up, Down]{stream: stream, stop: context.AfterFunc(ctx, func() { _ = stream.CloseRequest() })}
	if err := d.Send(hello); err != nil {
		d.Close()
		return d, err
	}
	return d, nil
}

// Send sends one message.
func (d duplex[Up, Down]) Send(m *Up) error {
	if err := d.stream.Send(m); err != nil {
		return streamError(err)
	}
	return nil
}

// Receive waits for one message.
func (d duplex[Up, Down]) Receive() (*Down, error) {
	m, err := d.stream.Receive()
	if err != nil {
		return nil, streamError(err)
	}
	return m, nil
}

// Close ends both ways.
func (d duplex[Up, Down]) Close() {
	d.stop()
	_ = d.stream.CloseRequest() // nothing more is said on it
	_ = d.stream.CloseResponse()
}
