package peer

import (
	"context"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
)

// Master is svc-master.
type Master interface {
	Register(ctx context.Context, r *masterv1.RegisterComputerRequest) error
	BeginRun(ctx context.Context, r *masterv1.BeginRunRequest) (*masterv1.BeginRunResponse, error)
	ReportRun(ctx context.Context, r *masterv1.ReportRunRequest) (*masterv1.ReportRunResponse, error)
	ReportUsage(ctx context.Context, r *masterv1.ReportUsageRequest) error
	Bang(ctx context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error)
	ReportSoftwareState(ctx context.Context, r *masterv1.ReportSoftwareStateRequest) (*masterv1.ReportSoftwareStateResponse, error)
	RequestInstance(ctx context.Context, r *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error)
	// ListInstances returns the instances of a tree.
	ListInstances(ctx context.Context, treeID string) ([]*masterv1.Instance, error)
	SetConnectionParameters(ctx context.Context, r *masterv1.SetConnectionParametersRequest) error
	// WatchDesired calls take for each delta, until ctx ends or the stream is lost.
	WatchDesired(ctx context.Context, r *masterv1.WatchDesiredRequest, take func(*masterv1.WatchDesiredResponse)) error
	// Link opens the stream; hello is its first message.
	Link(ctx context.Context, hello *masterv1.LinkHello) (LinkStream, error)
}

// LinkStream is an open Link. Send and Receive may be called by one goroutine each.
type LinkStream interface {
	Send(r *masterv1.LinkRequest) error
	Receive() (*masterv1.LinkResponse, error)
	Close()
}

// Scheduler is svc-scheduler.
type Scheduler interface {
	// Orders calls take for each message, until ctx ends or the stream is lost.
	Orders(ctx context.Context, r *schedulerv1.OrdersRequest, take func(*schedulerv1.OrdersResponse)) error
}

// Promise is svc-promise.
type Promise interface {
	Evaluate(ctx context.Context, r *promisev1.EvaluateRequest) (*promisev1.EvaluateResponse, error)
	// Sense opens the stream; hello is its first message, and svc-promise answers it.
	Sense(ctx context.Context, hello *promisev1.SenseHello) (SenseStream, error)
}

// SenseStream is an open Sense. Send and Receive may be called by one goroutine each.
type SenseStream interface {
	Send(r *promisev1.SenseRequest) error
	Receive() (*promisev1.SenseResponse, error)
	Close()
}
