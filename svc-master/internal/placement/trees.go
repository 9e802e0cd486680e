package placement

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// keepTrees looks at each tree for what a crash or a loss of data left undone: what is gone is buried, and what a tree holds is reserved on its computer.
// A reservation is written before its allocation and released after it, so that it is missing only when the computer's server lost its last seconds.
func (p *Placer) keepTrees(ctx context.Context) error {
	trees, err := p.store.Trees(ctx)
	if err != nil {
		return err
	}
	held := map[string][]holding{} // by computer
	var errs []error
	for _, treeID := range trees {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, p.keepTree(ctx, treeID, held))
	}
	names := make([]string, 0, len(held))
	for name := range held {
		names = append(names, name)
	}
	computers, err := p.store.Computers(ctx, names) // once, and after the trees: what they hold by now was reserved before
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, c := range computers {
		for _, at := range held[c.Name] {
			if r := c.Reservations[at.Partition]; r.GetInstanceId() != at.InstanceID {
				errs = append(errs, p.restore(ctx, at, r.GetInstanceId()))
			}
		}
	}
	return errors.Join(errs...)
}

// holding is a place that a tree holds, with what its instance needs there.
type holding struct {
	fleet.Place
	needs fleet.Needs
}

// keepTree buries a tree that is gone, and adds what another holds.
func (p *Placer) keepTree(ctx context.Context, treeID string, held map[string][]holding) error {
	gone := false
	err := p.store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
		gone = t.Gone()
		for id, at := range t.Partitions {
			held[at.Computer] = append(held[at.Computer], holding{
				Place: fleet.Place{Computer: at.Computer, Partition: at.Name, AllocationID: at.AllocationID, InstanceID: id}, needs: t.Instances[id].Sla.Needs,
			})
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return nil
	}
	if err == nil && gone {
		return p.Bury(ctx, treeID)
	}
	return err
}

// restore reserves anew what a tree holds. When the partition was given to another instance meanwhile that one keeps it, and this one looks for another place.
func (p *Placer) restore(ctx context.Context, at holding, other string) error {
	is, err := p.holds(ctx, at.Place)
	if err != nil || !is {
		return err // freed between the two looks
	}
	_, err = p.store.ChangeComputer(ctx, at.Computer, func(c *redisstore.Computer) error {
		return hold(c, at.Partition, at.InstanceID, at.needs)
	})
	switch {
	case err == nil:
		p.log.WarnContext(ctx, "a reservation was lost and is made again", "computer", at.Computer, "partition", at.Partition, "instance", at.InstanceID)
		if is, err = p.holds(ctx, at.Place); err != nil || is {
			return err
		}
		return p.Release(ctx, at.Computer, at.Partition, at.InstanceID)
	case !errors.Is(err, errTaken):
		return err
	}
	if other == "" {
		p.log.WarnContext(ctx, "an instance is in a partition that its computer does not have", "computer", at.Computer, "partition", at.Partition, "instance", at.InstanceID)
		return nil
	}
	taken, err := p.holds(ctx, fleet.Place{Computer: at.Computer, Partition: at.Partition, InstanceID: other})
	if err != nil || !taken {
		return err // an orphan: the next look finds it released
	}
	p.log.ErrorContext(ctx, "two instances are in one partition after a loss of data; one is moved", "computer", at.Computer, "partition", at.Partition, "stays", other, "moves", at.InstanceID)
	done, err := p.store.Update(ctx, redisstore.Change{Tree: fleet.TreeID(at.InstanceID), By: redisstore.System(fleet.SystemReconciliation), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, effects, err := t.Freed(fleet.Freed{AllocationID: at.AllocationID, Reason: "partition " + at.Partition + " of " + at.Computer + " was given to another instance after a loss of data"}, now)
		return nil, effects, err
	}})
	if err != nil {
		return ignoreRefused(err)
	}
	return p.Settle(ctx, done.Effects)
}

// holds tells whether a tree holds a place; without an allocation id, whichever allocation it is.
func (p *Placer) holds(ctx context.Context, at fleet.Place) (is bool, err error) {
	err = p.store.View(ctx, fleet.TreeID(at.InstanceID), func(t *fleet.Tree, _ time.Time) error {
		held := t.Partitions[at.InstanceID]
		is = held != nil && held.Computer == at.Computer && held.Name == at.Partition && (at.AllocationID == "" || at.AllocationID == held.AllocationID)
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return false, nil
	}
	return is, err
}
