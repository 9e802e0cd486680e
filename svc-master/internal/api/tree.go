package api

import (
	"context"
	"slices"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// GetTree reads a tree with its instances.
func (a *API) GetTree(ctx context.Context, req *masterv1.GetTreeRequest) (*masterv1.GetTreeResponse, error) {
	treeID, name := fleet.TreeID(req.GetId()), req.GetId()
	if title := req.GetTitle(); title != "" {
		var err error
		if treeID, err = a.Store.Root(ctx, account, title); err != nil {
			return nil, coded(err)
		}
		name = title
	}
	res := &masterv1.GetTreeResponse{}
	err := a.Store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
		if t.Gone() {
			return &redisstore.NotFoundError{Kind: "tree", Name: name}
		}
		res.Tree = a.tree(t, now)
		for _, i := range t.Sorted() {
			res.Tree.Instances = append(res.Tree.Instances, a.instance(t, i, now))
		}
		shorten(res.GetTree().GetInstances())
		return nil
	})
	if err != nil {
		return nil, coded(renamed(err, "tree", name))
	}
	return res, nil
}

// ListTrees reads a page; the token is the last id.
func (a *API) ListTrees(ctx context.Context, req *masterv1.ListTreesRequest) (*masterv1.ListTreesResponse, error) {
	ids, err := a.Store.Trees(ctx)
	if err != nil {
		return nil, coded(err)
	}
	if token := req.GetPageToken(); token != "" {
		at := slices.IndexFunc(ids, func(id string) bool {
			from, of := redisstore.ShardOf(token), redisstore.ShardOf(id)
			return of > from || of == from && id > token
		})
		if at < 0 {
			at = len(ids)
		}
		ids = ids[at:]
	}
	size := pageSize(req.GetPageSize(), 100)
	page := ids[:min(size, len(ids))]
	res := &masterv1.ListTreesResponse{}
	for _, id := range page {
		err := a.Store.View(ctx, id, func(t *fleet.Tree, now time.Time) error {
			if !t.Gone() {
				res.Trees = append(res.Trees, a.tree(t, now))
			}
			return nil
		})
		if err != nil && !isNotFound(err) {
			return nil, coded(err)
		}
	}
	if size < len(ids) {
		res.NextPageToken = page[len(page)-1]
	}
	return res, nil
}
