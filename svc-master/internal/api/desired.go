package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// desired is what is wanted of a computer at one moment.
type desired struct {
	computer   *redisstore.Computer
	trees      []string
	partitions map[string]*masterv1.DesiredPartition
}

// desired reads it from the trees that the computer's reservations name (docs/decisions/0003).
func (a *API) desired(ctx context.Context, computer string) (*desired, error) {
	c, err := a.Store.Computer(ctx, computer)
	if err != nil {
		return nil, err
	}
	d := &desired{computer: c, trees: c.Trees(), partitions: map[string]*masterv1.DesiredPartition{}}
	for _, treeID := range d.trees {
		err := a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			for _, i := range t.On(computer) {
				p := t.Partitions[i.ID]
				d.partitions[p.Name] = desiredPartition(t, i, p, c.Slots[p.Name].GetAddresses())
			}
			return nil
		})
		if err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	return d, nil
}

// since is what differs from what is known: partitions by name, and the names of those that are free.
func (d *desired) since(known []*masterv1.Known) (partitions []*masterv1.DesiredPartition, freed []string) {
	has := map[string]*masterv1.Known{}
	for _, k := range known {
		has[k.GetPartition()] = k
	}
	for _, name := range slices.Sorted(maps.Keys(d.partitions)) {
		p, k := d.partitions[name], has[name]
		if k == nil || k.GetAllocationId() != p.GetAllocationId() || !proto.Equal(k.GetGeneration(), p.GetGeneration()) || !proto.Equal(k.GetPause(), p.GetPause().GetGeneration()) {
			partitions = append(partitions, p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(has)) {
		if d.partitions[name] == nil && has[name].GetAllocationId() != "" {
			freed = append(freed, name)
		}
	}
	return partitions, freed
}

// after is what differs from what was sent before, in anything.
func (d *desired) after(before *desired) (partitions []*masterv1.DesiredPartition, freed []string) {
	for _, name := range slices.Sorted(maps.Keys(d.partitions)) {
		if !proto.Equal(d.partitions[name], before.partitions[name]) {
			partitions = append(partitions, d.partitions[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.partitions)) {
		if d.partitions[name] == nil {
			freed = append(freed, name)
		}
	}
	return partitions, freed
}

// GetDesired reads the delta.
func (a *API) GetDesired(ctx context.Context, req *masterv1.GetDesiredRequest) (*masterv1.GetDesiredResponse, error) {
	d, err := a.desired(ctx, req.GetComputer())
	if err != nil {
		return nil, coded(err)
	}
	a.contact(req.GetComputer())
	res := &masterv1.GetDesiredResponse{Software: suppliedOf(d.computer)}
	res.Partitions, res.Freed = d.since(req.GetKnown())
	return res, nil
}

// WatchDesired sends the delta and then what changes.
func (a *API) WatchDesired(ctx context.Context, req *masterv1.WatchDesiredRequest, stream *connect.ServerStream[masterv1.WatchDesiredResponse]) error {
	w := a.watchers.add(req.GetComputer()) // before the first look, so that no change is missed
	defer a.watchers.remove(w)
	before, err := a.desired(ctx, req.GetComputer())
	if err != nil {
		return coded(err)
	}
	a.contact(req.GetComputer())
	a.watchers.on(w, before.trees)
	first := &masterv1.WatchDesiredResponse{Software: suppliedOf(before.computer), SoftwareChanged: true, Complete: true}
	first.Partitions, first.Freed = before.since(req.GetKnown())
	if err := sendPieces(ctx, stream, first); err != nil {
		return err
	}
	recheck := time.NewTicker(a.Recheck)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		case <-recheck.C:
		}
		now, err := a.desired(ctx, req.GetComputer())
		if err != nil {
			return coded(err)
		}
		a.watchers.on(w, now.trees)
		res := &masterv1.WatchDesiredResponse{}
		res.Partitions, res.Freed = now.after(before)
		if !slices.EqualFunc(suppliedOf(now.computer), suppliedOf(before.computer), func(x, y *masterv1.Software) bool { return proto.Equal(x, y) }) {
			res.Software, res.SoftwareChanged = suppliedOf(now.computer), true
		}
		before = now
		if len(res.Partitions) == 0 && len(res.Freed) == 0 && !res.SoftwareChanged {
			continue
		}
		if err := sendPieces(ctx, stream, res); err != nil {
			return err
		}
	}
}

// maxPiece bounds the partitions of one message: a thousand of them with 128 KiB of parameters each are far more than a node reads at once.
const maxPiece = 1 << 20

// sendPieces sends a delta in as many messages as its size asks for; only the last one is complete.
func sendPieces(ctx context.Context, stream *connect.ServerStream[masterv1.WatchDesiredResponse], whole *masterv1.WatchDesiredResponse) error {
	partitions, complete := whole.GetPartitions(), whole.GetComplete()
	piece := whole
	piece.Partitions, piece.Complete = nil, false
	size := 0
	for _, p := range partitions {
		if n := proto.Size(p); size > 0 && size+n > maxPiece {
			if err := send(ctx, stream, piece); err != nil {
				return err
			}
			piece, size = &masterv1.WatchDesiredResponse{}, 0
		}
		piece.Partitions, size = append(piece.Partitions, p), size+proto.Size(p)
	}
	piece.Complete = complete
	return send(ctx, stream, piece)
}
