package vowclient

import (
	"context"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
)

// Client calls svc-master. It may be used by many goroutines at once, and holds nothing that has to be closed.
type Client struct{ master master }

// master is what is called, over either stack.
type master struct {
	request          unary[masterv1.RequestInstanceRequest, masterv1.RequestInstanceResponse]
	getTree          unary[masterv1.GetTreeRequest, masterv1.GetTreeResponse]
	listTrees        unary[masterv1.ListTreesRequest, masterv1.ListTreesResponse]
	listComputers    unary[masterv1.ListComputersRequest, masterv1.ListComputersResponse]
	bang             unary[masterv1.BangRequest, masterv1.BangResponse]
	watchTree        watch[masterv1.WatchTreeColoursRequest, masterv1.WatchTreeColoursResponse]
	watchConvergence watch[masterv1.WatchConvergenceRequest, masterv1.WatchConvergenceResponse]
}

// unary is a call with one answer.
type unary[Q, R any] func(context.Context, *Q) (*R, error)

// watch opens a stream and gives each message to do, until the stream ends or do answers false.
type watch[Q, R any] func(ctx context.Context, request *Q, do func(*R) bool) error

// New makes a client over Connect, as the generated constructors do: httpClient may be http.DefaultClient, baseURL is that of svc-master, e.g. http://127.0.0.1:7711;
// a bare host:port is meant as http://, which Connect would refuse with UNAVAILABLE, as if svc-master were away.
func New(httpClient connect.HTTPClient, baseURL string, options ...connect.ClientOption) *Client {
	if !strings.Contains(baseURL, "://") {
		baseURL = "http://" + baseURL
	}
	trees := masterv1connect.NewTreeServiceClient(httpClient, baseURL, options...)
	convergences := masterv1connect.NewConvergenceServiceClient(httpClient, baseURL, options...)
	return &Client{master{
		request:          masterv1connect.NewInstanceServiceClient(httpClient, baseURL, options...).RequestInstance,
		getTree:          trees.GetTree,
		listTrees:        trees.ListTrees,
		listComputers:    masterv1connect.NewComputerServiceClient(httpClient, baseURL, options...).ListComputers,
		bang:             masterv1connect.NewBangServiceClient(httpClient, baseURL, options...).Bang,
		watchTree:        overConnect(trees.WatchTreeColours),
		watchConvergence: overConnect(convergences.WatchConvergence),
	}}
}

// NewGRPC makes a client over a grpc-go connection, which stays the caller's to close.
func NewGRPC(conn grpc.ClientConnInterface) *Client {
	trees := masterv1.NewTreeServiceClient(conn)
	convergences := masterv1.NewConvergenceServiceClient(conn)
	return &Client{master{
		request:          plain(masterv1.NewInstanceServiceClient(conn).RequestInstance),
		getTree:          plain(trees.GetTree),
		listTrees:        plain(trees.ListTrees),
		listComputers:    plain(masterv1.NewComputerServiceClient(conn).ListComputers),
		bang:             plain(masterv1.NewBangServiceClient(conn).Bang),
		watchTree:        overGRPC(trees.WatchTreeColours),
		watchConvergence: overGRPC(convergences.WatchConvergence),
	}}
}

// plain is a call of grpc-go without options.
func plain[Q, R any](call func(context.Context, *Q, ...grpc.CallOption) (*R, error)) unary[Q, R] {
	return func(ctx context.Context, request *Q) (*R, error) { return call(ctx, request) }
}

func overConnect[Q, R any](open func(context.Context, *Q) (*connect.ServerStreamForClient[R], error)) watch[Q, R] {
	return func(ctx context.Context, request *Q, do func(*R) bool) error {
		ctx, cancel := context.WithCancel(ctx) // a stream that is not read to its end is closed only by its context at once
		defer cancel()
		stream, err := open(ctx, request)
		if err != nil {
			return err
		}
		for stream.Receive() {
			if !do(stream.Msg()) {
				cancel()
				_ = stream.Close() // it was cancelled
				return nil
			}
		}
		err = stream.Err()
		_ = stream.Close() // it has ended: Err says how
		return err
	}
}

func overGRPC[Q, R any](open func(context.Context, *Q, ...grpc.CallOption) (grpc.ServerStreamingClient[R], error)) watch[Q, R] {
	return func(ctx context.Context, request *Q, do func(*R) bool) error {
		ctx, cancel := context.WithCancel(ctx) // frees a stream that is not read to its end
		defer cancel()
		stream, err := open(ctx, request)
		if err != nil {
			return err
		}
		for {
			message, err := stream.Recv()
			if err != nil {
				return ended(err)
			}
			if !do(message) {
				return nil
			}
		}
	}
}
