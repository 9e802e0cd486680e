package api

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// GetConvergence reads one, by its id or that of a bang of it.
func (a *API) GetConvergence(ctx context.Context, req *masterv1.GetConvergenceRequest) (*masterv1.GetConvergenceResponse, error) {
	id, err := a.convergenceID(ctx, req.GetId())
	if err != nil {
		return nil, coded(err)
	}
	out, err := a.convergence(ctx, id)
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.GetConvergenceResponse{Convergence: out}, nil
}

// convergenceID is the convergence that an id of a bang or of a convergence names.
func (a *API) convergenceID(ctx context.Context, id string) (string, error) {
	_, rest, _ := strings.Cut(id, ".")
	if !strings.HasPrefix(rest, "b") {
		return id, nil
	}
	b, err := a.Store.Bang(ctx, id)
	if err != nil {
		return "", err
	}
	if b.ConvergenceID == "" {
		return "", &redisstore.NotFoundError{Kind: "convergence of withheld bang", Name: id}
	}
	return b.ConvergenceID, nil
}

// convergence reads the open one with its members, or an ended one.
func (a *API) convergence(ctx context.Context, id string) (*masterv1.Convergence, error) {
	treeID := fleet.TreeID(id)
	contacts, err := a.contacts(ctx, treeID)
	if err != nil {
		return nil, renamed(err, "convergence", id)
	}
	var out *masterv1.Convergence
	var titles map[string]string
	err = a.Store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
		titles = titlesOf(t)
		if c := t.Convergence; c != nil && c.ID == id {
			out = convergence(c, titles, now)
			waited, others := t.Members(contacts, now, a.Started)
			out.Members, out.NotWaitedFor = members(waited), others
		}
		return nil
	})
	if err != nil || out != nil {
		return out, renamed(err, "convergence", id)
	}
	ended, err := a.Store.EndedConvergence(ctx, id)
	if err != nil {
		return nil, err
	}
	out = convergence(ended, titles, time.Now())
	out.Members, out.NotWaitedFor = members(ended.Members), ended.NotWaitedFor
	return out, nil
}

// contacts reads when the computers of a tree were last in contact.
func (a *API) contacts(ctx context.Context, treeID string) (map[string]time.Time, error) {
	on := map[string]bool{}
	err := a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
		for _, p := range t.Partitions {
			on[p.Computer] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(on))
	for name := range on {
		names = append(names, name)
	}
	computers, err := a.Store.Computers(ctx, names)
	if err != nil {
		return nil, err
	}
	contacts := make(map[string]time.Time, len(computers))
	for _, c := range computers {
		contacts[c.Name] = c.Contact
	}
	return contacts, nil
}

// ListConvergences reads the newest, without timelines.
func (a *API) ListConvergences(ctx context.Context, req *masterv1.ListConvergencesRequest) (*masterv1.ListConvergencesResponse, error) {
	treeID := fleet.TreeID(req.GetTreeId())
	size := pageSize(req.GetPageSize(), 20)
	res := &masterv1.ListConvergencesResponse{}
	add := func(c *masterv1.Convergence) {
		c.Timeline = nil
		res.Convergences = append(res.Convergences, c)
	}
	err := a.Store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
		if t.Convergence != nil {
			add(convergence(t.Convergence, nil, now))
		}
		return nil
	})
	if err != nil {
		return nil, coded(renamed(err, "tree", req.GetTreeId()))
	}
	ended, err := a.Store.EndedConvergences(ctx, treeID, size)
	if err != nil {
		return nil, coded(err)
	}
	for _, c := range ended {
		// It may have ended between the two reads.
		if len(res.Convergences) < size && (len(res.Convergences) == 0 || res.Convergences[0].GetConvergenceId() != c.ID) {
			add(convergence(c, nil, time.Now()))
		}
	}
	return res, nil
}

// WatchConvergence sends it whole at each change of its tree, until it ends.
func (a *API) WatchConvergence(ctx context.Context, req *masterv1.WatchConvergenceRequest, stream *connect.ServerStream[masterv1.WatchConvergenceResponse]) error {
	id, err := a.convergenceID(ctx, req.GetId())
	if err != nil {
		return coded(err)
	}
	treeID := fleet.TreeID(id)
	box := a.Store.Subscribe(redisstore.Interest{Entries: func(e *masterv1.FeedEntry) bool { return e.GetTreeId() == treeID }})
	defer box.Close()
	recheck := time.NewTicker(a.Recheck)
	defer recheck.Stop()
	for {
		c, err := a.convergence(ctx, id)
		if err != nil {
			return coded(err)
		}
		if err := send(ctx, stream, &masterv1.WatchConvergenceResponse{Convergence: c}); err != nil {
			return err
		}
		if c.GetState() != masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-recheck.C:
		case <-box.Ready():
			if _, alive := box.Take(); !alive {
				return coded(redisstore.ErrCut)
			}
		}
	}
}

// AbandonConvergence ends an open convergence by hand.
func (a *API) AbandonConvergence(ctx context.Context, req *masterv1.AbandonConvergenceRequest) (*masterv1.AbandonConvergenceResponse, error) {
	id, err := a.convergenceID(ctx, req.GetId())
	if err != nil {
		return nil, coded(err)
	}
	reason := "by hand"
	if req.GetBy() != "" {
		reason += " by " + req.GetBy()
	}
	if req.GetReason() != "" {
		reason += ": " + req.GetReason()
	}
	treeID := fleet.TreeID(id)
	done, err := a.Store.Update(ctx, redisstore.Change{Tree: treeID, Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, effects, err := t.Abandon(fleet.Abandon{ConvergenceID: id, Reason: reason, Trace: trail.TraceOf(ctx)}, now)
		if fleet.KindOf(err) == fleet.NotFound {
			return nil, fleet.Effects{}, nil // it ended, or never was: reading it says which
		}
		return nil, effects, err
	}})
	if err != nil {
		return nil, coded(renamed(err, "convergence", req.GetId()))
	}
	a.settle(ctx, treeID, done.Effects)
	c, err := a.convergence(ctx, id)
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.AbandonConvergenceResponse{Convergence: c}, nil
}
