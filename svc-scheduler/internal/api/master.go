package api

import (
	"context"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-scheduler/internal/follow"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// Master is svc-master as this service sees it.
type Master struct {
	feed  masterv1connect.FeedServiceClient
	link  masterv1connect.LinkServiceClient
	tree  masterv1connect.TreeServiceClient
	audit masterv1connect.AuditServiceClient
}

var (
	_ owner.Master  = (*Master)(nil)
	_ follow.Master = (*Master)(nil)
)

// NewMaster makes the clients on a connection that the caller owns.
func NewMaster(c *rpc.Client) *Master {
	return &Master{
		feed:  masterv1connect.NewFeedServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		link:  masterv1connect.NewLinkServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		tree:  masterv1connect.NewTreeServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		audit: masterv1connect.NewAuditServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
	}
}

// Computer returns the allocations of a computer.
func (m *Master) Computer(ctx context.Context, computer string) ([]owner.Placed, error) {
	res, err := m.feed.ListAllocations(ctx, &masterv1.ListAllocationsRequest{Computers: []string{computer}})
	if rpc.IsNotFound(err) {
		return nil, fmt.Errorf("cannot read the allocations of %q: %w", computer, owner.ErrUnknownComputer)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the allocations of %q: %w", computer, err)
	}
	return placed(res.GetAllocations()), nil
}

// Trees returns the allocations of trees.
func (m *Master) Trees(ctx context.Context, trees []string) ([]owner.Placed, error) {
	res, err := m.feed.ListAllocations(ctx, &masterv1.ListAllocationsRequest{TreeIds: trees})
	if rpc.IsNotFound(err) {
		return nil, follow.ErrUnknownTree
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the allocations of %d trees: %w", len(trees), err)
	}
	return placed(res.GetAllocations()), nil
}

// Unsettled returns all allocations with wanted > settled.
func (m *Master) Unsettled(ctx context.Context) ([]owner.Placed, error) {
	res, err := m.feed.ListAllocations(ctx, &masterv1.ListAllocationsRequest{Unsettled: true})
	if err != nil {
		return nil, fmt.Errorf("cannot read the unsettled allocations: %w", err)
	}
	return placed(res.GetAllocations()), nil
}

// ReportContacts tells when bytes were last read from computers.
func (m *Master) ReportContacts(ctx context.Context, contacts map[string]time.Time) error {
	req := &masterv1.ReportContactsRequest{}
	for computer, at := range contacts {
		req.Contacts = append(req.Contacts, &masterv1.Contact{Computer: computer, At: timestamppb.New(at)})
	}
	_, err := m.link.ReportContacts(ctx, req)
	return err
}

// PauseTree pauses a tree, whose pause svc-master keeps: all replicas learn it from the feed, this one too.
func (m *Master) PauseTree(ctx context.Context, tree string, req *schedulerv1.PauseRequest) (*typev1.Pause, error) {
	res, err := m.tree.PauseTree(ctx, &masterv1.PauseTreeRequest{TreeId: tree, Duration: req.GetDuration(), Reason: req.GetReason(), By: req.GetBy()})
	return res.GetPause(), err
}

// ResumeTree ends the pause of a tree.
func (m *Master) ResumeTree(ctx context.Context, tree, by string) error {
	_, err := m.tree.ResumeTree(ctx, &masterv1.ResumeTreeRequest{TreeId: tree, By: by})
	return err
}

// Follow opens the feed.
func (m *Master) Follow(ctx context.Context, from []follow.Position, follower string) (follow.Feed, error) {
	req := &masterv1.FollowRequest{Follower: follower}
	for _, p := range from {
		req.From = append(req.From, &masterv1.Position{Shard: p.Shard, Epoch: p.Epoch, Sequence: p.Sequence})
	}
	stream, err := m.feed.Follow(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("cannot follow the feed: %w", err)
	}
	return &feed{stream}, nil
}

type feed struct {
	stream *connect.ServerStreamForClient[masterv1.FollowResponse]
}

func (f *feed) Next() (follow.Batch, error) {
	if !f.stream.Receive() {
		if err := f.stream.Err(); err != nil {
			return follow.Batch{}, err
		}
		return follow.Batch{}, io.EOF
	}
	return batch(f.stream.Msg()), nil
}

func (f *feed) Close() { _ = f.stream.Close() }
