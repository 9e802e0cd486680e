package placement

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// tenant is an instance on a computer that is closed.
type tenant struct {
	fleet.Place
	title  string
	wanted fleet.PlaceRequest
	stays  string
}

// Leave evicts from a closed computer what may leave it, one after the other: of a drained one what fits elsewhere. What stays says why. It is done again by
// Reconcile as long as the computer is closed, so that what a crash cut short is finished and what did not fit leaves when it does.
func (p *Placer) Leave(ctx context.Context, c *redisstore.Computer) ([]*masterv1.Leaving, error) {
	closure := c.Record.GetClosure()
	var told []*masterv1.Leaving
	var seen round
	for _, treeID := range c.Trees() {
		tenants, err := p.tenants(ctx, treeID, c.Name, closure.GetAll())
		if err != nil {
			return nil, err
		}
		for _, t := range tenants {
			if err := p.leave(ctx, &t, closure, &seen); err != nil {
				return nil, err
			}
			told = append(told, &masterv1.Leaving{InstanceId: t.InstanceID, Title: t.title, Partition: t.Partition, Evicted: t.stays == "", Stays: t.stays})
		}
	}
	order := c.Partitions()
	slices.SortFunc(told, func(a, b *masterv1.Leaving) int {
		return slices.Index(order, a.GetPartition()) - slices.Index(order, b.GetPartition())
	})
	return told, nil
}

// tenants lists what a tree has on a computer.
func (p *Placer) tenants(ctx context.Context, treeID, computer string, all bool) (tenants []tenant, err error) {
	err = p.store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
		tenants = nil
		for _, i := range t.Sorted() {
			held := t.Partitions[i.ID]
			if held == nil || held.Computer != computer {
				continue
			}
			_, stays := i.MayLeave(all)
			tenants = append(tenants, tenant{
				Place: fleet.Place{Computer: computer, Partition: held.Name, AllocationID: held.AllocationID, InstanceID: i.ID},
				title: i.Title, wanted: wantedOf(i), stays: stays,
			})
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		err = nil
	}
	return tenants, err
}

// leave evicts one instance, or notes why it stays.
func (p *Placer) leave(ctx context.Context, t *tenant, closure *masterv1.Closure, seen *round) error {
	if t.stays != "" {
		return nil
	}
	if closure.GetKind() == masterv1.ClosureKind_CLOSURE_KIND_DRAIN {
		computers, err := p.candidates(ctx, "", seen)
		if err != nil {
			return err
		}
		if elsewhere, _, reason := choose(t.InstanceID, t.wanted, computers); elsewhere == nil {
			t.stays = "it fits nowhere else: " + reason
			return nil
		}
	}
	done, err := p.store.Update(ctx, redisstore.Change{Tree: fleet.TreeID(t.InstanceID), Decide: func(tree *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, effects, err := tree.Evict(fleet.Evict{AllocationID: t.AllocationID, Reason: "computer " + t.Computer + " is closed: " + closed(closure)}, now)
		return nil, effects, err
	}})
	if refused(err) {
		t.stays = err.Error() // it left, or is being destroyed, meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	p.log.InfoContext(ctx, "an instance is evicted", "computer", t.Computer, "partition", t.Partition, "instance", t.InstanceID, "allocation", t.AllocationID)
	if err := p.settle(ctx, done.Effects, seen); err != nil {
		p.log.WarnContext(ctx, "cannot settle partitions yet", "instance", t.InstanceID, "error", err)
	}
	return nil
}

// closed is why nothing may be put on a computer, in words; empty = it is open.
func closed(c *masterv1.Closure) string {
	if c == nil {
		return ""
	}
	words := "drained"
	if c.GetKind() == masterv1.ClosureKind_CLOSURE_KIND_EVICT {
		words = "evicted"
	}
	if c.GetBy() != "" {
		words += " by " + c.GetBy()
	}
	return strings.TrimSuffix(words+": "+c.GetReason(), ": ")
}
