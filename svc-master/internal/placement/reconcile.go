package placement

import (
	"context"
	"errors"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

const (
	// sweepEvery is how often reservations are compared with allocations, and shared instances with their hosts, although nothing gave a reason.
	sweepEvery = time.Minute
	// wholeEvery is how many of these sweeps one look at every tree follows: what it finds was left by a crash or a loss of data, and a loss is told.
	wholeEvery = 10
)

// gather is the least pause between two looks at what waits for a partition.
const gather = 100 * time.Millisecond

// reservation names one for the memory of orphans.
type reservation struct{ computer, partition, instanceID string }

// Reconcile tries instances without a place again whenever a computer changed, releases orphan reservations, and empties closed computers, until
// ctx ends. Every replica does both; what one did the others find done.
func (p *Placer) Reconcile(ctx context.Context) error {
	// No entries, but the news that some were lost: then a server may have lost more.
	wants := redisstore.Interest{Computers: true, Entries: func(*masterv1.FeedEntry) bool { return false }}
	box := p.store.Subscribe(wants)
	defer func() { box.Close() }()
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	orphans := map[reservation]time.Time{}
	p.warn(ctx, "cannot bring shared instances and their hosts together yet", p.keepShared(ctx)) // what the process before left
	for sweeps := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-box.Ready():
			news, alive := box.Take()
			if !alive {
				box = p.store.Subscribe(wants)
			}
			if !alive || len(news.Rescan) > 0 {
				sweeps = 0
			}
			if alive && len(news.Computers) == 0 {
				continue
			}
			p.warn(ctx, "cannot place instances that wait for a partition", p.placeWaiting(ctx))
			// Each placement changes a computer: many changes are one look.
			_ = wait.For(ctx, gather)
		case <-ticker.C:
			p.warn(ctx, "cannot place instances that wait for a partition", p.placeWaiting(ctx))
			p.warn(ctx, "cannot look for orphan reservations", p.sweep(ctx, orphans))
			p.warn(ctx, "cannot bring shared instances and their hosts together yet", p.keepShared(ctx))
			if sweeps%wholeEvery == 0 {
				p.warn(ctx, "cannot look for what trees lost", p.keepTrees(ctx))
			}
			sweeps++
		}
	}
}

func (p *Placer) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		p.log.WarnContext(ctx, what, "error", err)
	}
}

// placeWaiting tries every instance without a place. The fleet is read once for all of them.
func (p *Placer) placeWaiting(ctx context.Context) error {
	ids, err := p.store.UnallocatedInstances(ctx)
	if err != nil {
		return err
	}
	var errs []error
	var seen round
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, p.place(ctx, id, &seen))
	}
	return errors.Join(errs...)
}

// sweep releases reservations whose tree has no such allocation and that were seen so for OrphanAfter.
func (p *Placer) sweep(ctx context.Context, orphans map[reservation]time.Time) error {
	names, err := p.store.ComputerNames(ctx)
	if err != nil {
		return err
	}
	computers, err := p.store.Computers(ctx, names)
	if err != nil {
		return err
	}
	reserved := map[string][]reservation{} // by tree: each is looked at once
	for _, c := range computers {
		for partition, r := range c.Reservations {
			treeID := fleet.TreeID(r.GetInstanceId())
			reserved[treeID] = append(reserved[treeID], reservation{c.Name, partition, r.GetInstanceId()})
		}
	}
	seen := map[reservation]bool{}
	for treeID, all := range reserved {
		missing, moved, err := p.unallocated(ctx, treeID, all)
		if err != nil {
			return err
		}
		for at, to := range moved {
			if err := p.rebind(ctx, at.computer, at.partition, at.instanceID, to, &round{}); err != nil {
				return err
			}
		}
		for _, at := range missing {
			seen[at] = true
			first, known := orphans[at]
			if !known {
				orphans[at] = time.Now()
				continue
			}
			if time.Since(first) >= OrphanAfter {
				p.log.InfoContext(ctx, "releasing a reservation without an allocation", "computer", at.computer, "partition", at.partition, "instance", at.instanceID)
				if err := p.Release(ctx, at.computer, at.partition, at.instanceID); err != nil {
					return err
				}
			}
		}
	}
	for at := range orphans {
		if !seen[at] {
			delete(orphans, at)
		}
	}
	for _, c := range computers {
		if c.Record.GetClosure() == nil {
			continue
		}
		if _, err := p.Leave(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// unallocated picks the reservations that their tree does not hold, and those that another instance of the tree holds by now.
func (p *Placer) unallocated(ctx context.Context, treeID string, all []reservation) (missing []reservation, moved map[reservation]string, err error) {
	err = p.store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
		for _, at := range all {
			if held := t.Partitions[at.instanceID]; held != nil && held.Computer == at.computer && held.Name == at.partition {
				continue
			}
			if holder := holderOf(t, at); holder != "" {
				if moved == nil {
					moved = map[reservation]string{}
				}
				moved[at] = holder
				continue
			}
			missing = append(missing, at)
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return all, nil, nil
	}
	return missing, moved, err
}

func holderOf(t *fleet.Tree, at reservation) string {
	for id, p := range t.Partitions {
		if p.Computer == at.computer && p.Name == at.partition {
			return id
		}
	}
	return ""
}
