package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// PauseTree keeps a tree from running.
func (a *API) PauseTree(ctx context.Context, req *masterv1.PauseTreeRequest) (*masterv1.PauseTreeResponse, error) {
	e := fleet.PauseTree{For: req.GetDuration().AsDuration(), Reason: req.GetReason(), By: req.GetBy(), Trace: trail.TraceOf(ctx)}
	var pause fleet.Pause
	err := a.pause(ctx, req.GetTreeId(), req.GetBy(), func(t *fleet.Tree, now time.Time) (effects fleet.Effects, err error) {
		pause, effects, err = t.PauseTree(e, now)
		return effects, err
	})
	if err != nil {
		return nil, err
	}
	return &masterv1.PauseTreeResponse{Pause: redisstore.PauseRecord(pause)}, nil
}

// ResumeTree ends a pause.
func (a *API) ResumeTree(ctx context.Context, req *masterv1.ResumeTreeRequest) (*masterv1.ResumeTreeResponse, error) {
	e := fleet.ResumeTree{By: req.GetBy(), Trace: trail.TraceOf(ctx)}
	err := a.pause(ctx, req.GetTreeId(), req.GetBy(), func(t *fleet.Tree, now time.Time) (fleet.Effects, error) {
		_, effects, err := t.ResumeTree(e, now)
		return effects, err
	})
	if err != nil {
		return nil, err
	}
	return &masterv1.ResumeTreeResponse{}, nil
}

func (a *API) pause(ctx context.Context, id, by string, decide func(t *fleet.Tree, now time.Time) (fleet.Effects, error)) error {
	treeID := fleet.TreeID(id)
	_, err := a.Store.Update(ctx, redisstore.Change{Tree: treeID, By: caller(ctx, by), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		if t.Gone() {
			return nil, fleet.Effects{}, &redisstore.NotFoundError{Kind: "tree", Name: id}
		}
		effects, err := decide(t, now)
		return nil, effects, err
	}})
	return coded(renamed(err, "tree", id))
}
