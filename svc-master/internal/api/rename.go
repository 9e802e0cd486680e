package api

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// renameWithin bounds the commit of a root's rename, so that a title that is found reserved for another tree long after is known to be left over.
const renameWithin = 20 * time.Second

// RenameInstance gives an instance another title. That of a root is an entry of an index in another slot: reserved first, then committed in the tree, then the old
// one is freed. What a crash leaves in between is freed by the request that meets it.
func (a *API) RenameInstance(ctx context.Context, req *masterv1.RenameInstanceRequest) (*masterv1.RenameInstanceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, renameWithin)
	defer cancel()
	treeID := fleet.TreeID(req.GetInstanceId())
	root, old := false, ""
	err := a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
		root, old = t.RootID == req.GetInstanceId() && t.Title != req.GetTitle(), t.Title
		return nil
	})
	if err != nil {
		return nil, coded(renamed(err, "instance", req.GetInstanceId()))
	}
	if root {
		holder, err := a.Store.ReserveTitle(ctx, account, req.GetTitle(), treeID)
		if err != nil {
			return nil, coded(err)
		}
		if holder != treeID {
			return nil, rpc.AlreadyExists(fmt.Errorf("cannot rename %q to %q: tree %s has that title", old, req.GetTitle(), holder))
		}
	}
	done, err := a.Store.Update(ctx, redisstore.Change{Tree: treeID, By: caller(ctx, ""), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		if t.RootID == req.GetInstanceId() && t.Title != old && t.Title != req.GetTitle() {
			return nil, fleet.Effects{}, &redisstore.StateError{Message: fmt.Sprintf("cannot rename %q: it was renamed to %q meanwhile", old, t.Title)}
		}
		_, effects, err := t.Rename(fleet.Rename{InstanceID: req.GetInstanceId(), Title: req.GetTitle(), Trace: trail.TraceOf(ctx)}, now)
		return nil, effects, err
	}})
	if err != nil {
		if root && fleet.KindOf(err) != 0 { // refused: nothing was committed
			_ = a.Store.ReleaseRoot(ctx, account, req.GetTitle(), treeID) // else the next request of that title frees it
		}
		return nil, coded(renamed(err, "instance", req.GetInstanceId()))
	}
	a.settle(ctx, treeID, done.Effects)
	if root {
		if err := a.Store.ReleaseRoot(ctx, account, old, treeID); err != nil {
			a.Log.WarnContext(ctx, "cannot free the title that a tree had", "tree", treeID, "error", err)
		}
	}
	res, err := a.GetInstance(ctx, &masterv1.GetInstanceRequest{InstanceId: req.GetInstanceId()})
	return &masterv1.RenameInstanceResponse{Instance: res.GetInstance()}, err
}
