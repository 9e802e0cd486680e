package api

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/gen/examination"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/examine"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/supervise"
)

// Agent is what the handlers ask.
type Agent interface {
	Status() *nodev1.GetStatusResponse
	Plan(ctx context.Context, partition string) (*nodev1.PlanResponse, error)
	Processes(ctx context.Context, partition string) ([]*nodev1.Process, error)
	RunPromises(ctx context.Context, partition string, promises []string) (*nodev1.RunPromisesResponse, error)
	SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, tell func(*nodev1.SensePromisesResponse) error) error
	Log(ctx context.Context, partition, process string) (path string, opener privilege.User, err error)
	Examine(ctx context.Context) []examine.Check
	Control(ctx context.Context, key supervise.Key, action supervise.Action) (*nodev1.Process, error)
}

// Node is the handler of NodeService, and of ExamineService.
type Node struct {
	*examination.Handler[examine.Check]

	agent Agent
	log   *slog.Logger
}

var _ nodev1connect.NodeServiceHandler = (*Node)(nil)

// NewNode makes the handler of an agent of a version; log gets the panics of calls that came through svc-master's Link.
func NewNode(a Agent, version string, log *slog.Logger) *Node {
	return &Node{examination.New("svc-node", version, a.Examine), a, log}
}

// Connected says which of the node's streams are not open: without them it keeps what it has, and nobody can ask it for more.
func (n *Node) Connected(context.Context) error {
	var away []string
	for _, l := range n.agent.Status().GetLinks() {
		if !l.GetConnected() {
			away = append(away, l.GetName())
		}
	}
	if len(away) > 0 {
		return fmt.Errorf("cannot serve without the control plane: not connected: %s", strings.Join(away, ", "))
	}
	return nil
}

// GetStatus tells what the node is doing.
func (n *Node) GetStatus(context.Context, *nodev1.GetStatusRequest) (*nodev1.GetStatusResponse, error) {
	return n.agent.Status(), nil
}

// Plan tells what a run would change.
func (n *Node) Plan(ctx context.Context, r *nodev1.PlanRequest) (*nodev1.PlanResponse, error) {
	answer, err := n.agent.Plan(ctx, r.GetPartition())
	return answer, nodeError(err)
}

// ListProcesses lists the supervised processes.
func (n *Node) ListProcesses(ctx context.Context, r *nodev1.ListProcessesRequest) (*nodev1.ListProcessesResponse, error) {
	processes, err := n.agent.Processes(ctx, r.GetPartition())
	if err != nil {
		return nil, nodeError(err)
	}
	return &nodev1.ListProcessesResponse{Processes: processes}, nil
}

// RunPromises senses promises now.
func (n *Node) RunPromises(ctx context.Context, r *nodev1.RunPromisesRequest) (*nodev1.RunPromisesResponse, error) {
	answer, err := n.agent.RunPromises(ctx, r.GetPartition(), r.GetPromises())
	return answer, nodeError(err)
}

// SensePromises senses promises now and streams what each says.
func (n *Node) SensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, stream *connect.ServerStream[nodev1.SensePromisesResponse]) error {
	return n.sensePromises(ctx, r, stream.Send)
}

func (n *Node) sensePromises(ctx context.Context, r *nodev1.SensePromisesRequest, send func(*nodev1.SensePromisesResponse) error) error {
	return nodeError(n.agent.SensePromises(ctx, r, send))
}

// Logs streams the output of a process.
func (n *Node) Logs(ctx context.Context, r *nodev1.LogsRequest, stream *connect.ServerStream[nodev1.LogsResponse]) error {
	return n.logs(ctx, r, stream.Send)
}

func (n *Node) logs(ctx context.Context, r *nodev1.LogsRequest, send func(*nodev1.LogsResponse) error) error {
	path, user, err := n.agent.Log(ctx, r.GetPartition(), r.GetProcess())
	if err != nil {
		return nodeError(err)
	}
	return nodeError(tail(ctx, user, path, int64(r.GetTailBytes()), r.GetFollow(), func(output []byte) error {
		return send(&nodev1.LogsResponse{Output: output})
	}))
}

// ControlProcess starts, stops or restarts one process.
func (n *Node) ControlProcess(ctx context.Context, r *nodev1.ControlProcessRequest) (*nodev1.ControlProcessResponse, error) {
	action := supervise.Start
	switch r.GetAction() {
	case nodev1.ProcessAction_PROCESS_ACTION_STOP:
		action = supervise.Stop
	case nodev1.ProcessAction_PROCESS_ACTION_RESTART:
		action = supervise.Restart
	}
	process, err := n.agent.Control(ctx, supervise.Key{Partition: r.GetPartition(), Name: r.GetProcess()}, action)
	if err != nil {
		return nil, nodeError(err)
	}
	return &nodev1.ControlProcessResponse{Process: process}, nil
}
