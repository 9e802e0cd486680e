package relay

import (
	"context"

	"google.golang.org/protobuf/proto"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
)

// Node is a node behind svc-master.
type Node struct {
	links    masterv1connect.LinkServiceClient
	computer string
}

// To is the node of a computer.
func To(links masterv1connect.LinkServiceClient, computer string) Node { return Node{links, computer} }

// GetStatus is NodeService.GetStatus: what the node is and has.
func (n Node) GetStatus(ctx context.Context, r *nodev1.GetStatusRequest) (*nodev1.GetStatusResponse, error) {
	return call(ctx, n, nodev1connect.NodeServiceGetStatusProcedure, r, new(nodev1.GetStatusResponse))
}

// Plan is NodeService.Plan: what a run would do.
func (n Node) Plan(ctx context.Context, r *nodev1.PlanRequest) (*nodev1.PlanResponse, error) {
	return call(ctx, n, nodev1connect.NodeServicePlanProcedure, r, new(nodev1.PlanResponse))
}

// ListProcesses is NodeService.ListProcesses: the processes of a partition.
func (n Node) ListProcesses(ctx context.Context, r *nodev1.ListProcessesRequest) (*nodev1.ListProcessesResponse, error) {
	return call(ctx, n, nodev1connect.NodeServiceListProcessesProcedure, r, new(nodev1.ListProcessesResponse))
}

// ControlProcess is NodeService.ControlProcess: starts, stops or restarts one.
func (n Node) ControlProcess(ctx context.Context, r *nodev1.ControlProcessRequest) (*nodev1.ControlProcessResponse, error) {
	return call(ctx, n, nodev1connect.NodeServiceControlProcessProcedure, r, new(nodev1.ControlProcessResponse))
}

// Examine tells how the agent and its machine are.
func (n Node) Examine(ctx context.Context, r *examinev1.ExamineRequest) (*examinev1.ExamineResponse, error) {
	return call(ctx, n, examinev1connect.ExamineServiceExamineProcedure, r, new(examinev1.ExamineResponse))
}

// Logs is NodeService.Logs: gives take each piece of a log.
func (n Node) Logs(ctx context.Context, r *nodev1.LogsRequest, take func(*nodev1.LogsResponse) error) error {
	return stream(ctx, n, nodev1connect.NodeServiceLogsProcedure, r, func() *nodev1.LogsResponse { return new(nodev1.LogsResponse) }, take)
}

// SensePromises is NodeService.SensePromises: gives take each result of a run of promises by hand.
func (n Node) SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, take func(*nodev1.SensePromisesResponse) error) error {
	return stream(ctx, n, nodev1connect.NodeServiceSensePromisesProcedure, r, func() *nodev1.SensePromisesResponse { return new(nodev1.SensePromisesResponse) }, take)
}

func call[Res proto.Message](ctx context.Context, n Node, method string, r proto.Message, into Res) (Res, error) {
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

func stream[M proto.Message](ctx context.Context, n Node, method string, r proto.Message, empty func() M, take func(M) error) error {
	encoded, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	answers, err := n.links.StreamNode(ctx, &masterv1.StreamNodeRequest{Computer: n.computer, Method: method, Request: encoded})
	return Each(answers, err, func(a *masterv1.StreamNodeResponse) error {
		message := empty()
		if err := proto.Unmarshal(a.GetResponse(), message); err != nil {
			return err
		}
		return take(message)
	})
}

// received is a server's stream.
type received[M any] interface {
	Receive() bool
	Msg() *M
	Err() error
	Close() error
}

// Each calls take for each message of a stream, until it ends.
func Each[M any](stream received[M], err error, take func(*M) error) error {
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
