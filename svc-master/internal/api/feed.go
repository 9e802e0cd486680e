package api

import (
	"context"
	"time"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// Follow streams the feed.
func (a *API) Follow(ctx context.Context, req *masterv1.FollowRequest, stream *connect.ServerStream[masterv1.FollowResponse]) error {
	f, start, rescan, err := a.Store.Follow(ctx, req.GetFollower(), req.GetFrom())
	if err != nil {
		return coded(err)
	}
	defer f.Close()
	if err := send(ctx, stream, &masterv1.FollowResponse{Start: start, Rescan: rescan}); err != nil {
		return err
	}
	for {
		entries, rescan, err := f.Next(ctx)
		if err != nil {
			return coded(err)
		}
		if err := send(ctx, stream, &masterv1.FollowResponse{Entries: entries, Rescan: rescan}); err != nil {
			return err
		}
	}
}

// ListAllocations reads the truth that the feed hints at.
func (a *API) ListAllocations(ctx context.Context, req *masterv1.ListAllocationsRequest) (*masterv1.ListAllocationsResponse, error) {
	res := &masterv1.ListAllocationsResponse{}
	add := func(treeID string, wanted func(*fleet.Tree) []*fleet.Instance) error {
		return a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			for _, i := range wanted(t) {
				res.Allocations = append(res.Allocations, allocation(t, i, t.Partitions[i.ID]))
			}
			return nil
		})
	}
	if req.GetUnsettled() {
		trees, err := a.Store.UnsettledTrees(ctx)
		if err != nil {
			return nil, coded(err)
		}
		for _, treeID := range trees {
			err := add(treeID, func(t *fleet.Tree) []*fleet.Instance {
				return t.Placed(func(p *fleet.Partition) bool { return p.Settled.Less(t.Wanted(p)) })
			})
			if err != nil && !isNotFound(err) {
				return nil, coded(err)
			}
		}
		return res, nil
	}
	for _, treeID := range req.GetTreeIds() {
		if err := add(treeID, func(t *fleet.Tree) []*fleet.Instance { return t.Placed(func(*fleet.Partition) bool { return true }) }); err != nil {
			return nil, coded(err)
		}
	}
	for _, name := range req.GetComputers() {
		c, err := a.Store.Computer(ctx, name)
		if err != nil {
			return nil, coded(err)
		}
		for _, treeID := range c.Trees() {
			err := add(treeID, func(t *fleet.Tree) []*fleet.Instance { return t.On(name) })
			if err != nil && !isNotFound(err) {
				return nil, coded(err)
			}
		}
	}
	return res, nil
}
