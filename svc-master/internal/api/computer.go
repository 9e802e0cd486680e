package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// RegisterComputer declares a computer; trees on it hear of another periodicity, and of other addresses, of which members run.
func (a *API) RegisterComputer(ctx context.Context, req *masterv1.RegisterComputerRequest) (*masterv1.RegisterComputerResponse, error) {
	slots := map[string]*storev1.SlotRecord{}
	for i, p := range req.GetPartitions() {
		if slots[p.GetName()] != nil {
			return nil, invalid("cannot register computer %q: partitions[%d].name: %q is listed twice", req.GetComputer(), i, p.GetName())
		}
		slots[p.GetName()] = &storev1.SlotRecord{Addresses: p.GetAddresses()}
	}
	period := req.GetPeriodicity().AsDuration()
	if req.GetPeriodicity() == nil {
		period = fleet.MaxPeriod
	}
	by := caller(ctx, "")
	c, err := a.Store.ChangeComputer(ctx, req.GetComputer(), func(c *redisstore.Computer) error {
		if at := c.Record.GetDecommissionedAt(); at != nil {
			return &redisstore.StateError{Message: fmt.Sprintf("cannot register computer %q: it was decommissioned at %s; open it to use its name again", c.Name, at.AsTime().Format(time.RFC3339))}
		}
		for _, name := range c.Partitions() {
			if held := c.Reservations[name]; held != nil && slots[name] == nil {
				return &redisstore.StateError{Message: fmt.Sprintf("cannot register computer %q without partition %q: it holds instance %s; list it, or destroy that instance first", c.Name, name, held.GetInstanceId())}
			}
		}
		before, had := c.Record, c.Slots
		c.Record = &storev1.ComputerRecord{RegisteredAt: timestamppb.Now()}
		if before != nil {
			c.Record = proto.CloneOf(before)
		}
		c.Record.Periodicity, c.Record.Cpus, c.Slots = durationpb.New(period), max(req.GetCpus(), 1), slots
		if req.GetCapacity() != nil {
			c.Record.Capacity = req.GetCapacity()
		}
		c.Audit(by, &masterv1.AuditEntry{Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_REGISTERED, Changes: formatted(before, c.Record, had, slots)})
		return nil
	})
	if err != nil {
		return nil, coded(err)
	}
	a.contact(c.Name)
	// Whether a tree has heard of it is asked of the tree: a registration that was cut short here is made up for by the next.
	event := fleet.Registered{Computer: c.Name, Period: period, Addresses: map[string][]string{}}
	for name, slot := range slots {
		event.Addresses[name] = slot.GetAddresses()
	}
	for _, treeID := range c.Trees() {
		heard := true
		err := a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			heard = t.Heard(event)
			return nil
		})
		if err == nil && !heard {
			err = a.tell(ctx, treeID, func(t *fleet.Tree, now time.Time) (fleet.Effects, error) {
				_, effects, err := t.Registered(event, now)
				return effects, err
			})
		}
		if err != nil && !isNotFound(err) {
			return nil, coded(err)
		}
	}
	res, err := a.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: c.Name})
	if err != nil {
		return nil, err
	}
	return &masterv1.RegisterComputerResponse{Computer: res.GetComputer()}, nil
}

// formatted names what a registration changes of a computer.
func formatted(before, after *storev1.ComputerRecord, had, has map[string]*storev1.SlotRecord) []string {
	var names []string
	if !proto.Equal(before.GetPeriodicity(), after.GetPeriodicity()) {
		names = append(names, "periodicity")
	}
	if before.GetCpus() != after.GetCpus() {
		names = append(names, "cpus")
	}
	if !proto.Equal(before.GetCapacity(), after.GetCapacity()) {
		names = append(names, "capacity")
	}
	return append(names, redisstore.Differing("partition ", had, has, func(a, b *storev1.SlotRecord) bool { return proto.Equal(a, b) })...)
}

// tell lets an event without an answer happen to a tree; a tree that is gone meanwhile need not hear.
func (a *API) tell(ctx context.Context, treeID string, event func(*fleet.Tree, time.Time) (fleet.Effects, error)) error {
	done, err := a.Store.Update(ctx, redisstore.Change{Tree: treeID, By: caller(ctx, ""), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		effects, err := event(t, now)
		return nil, effects, err
	}})
	if isNotFound(err) {
		return nil
	}
	if err == nil {
		a.settle(ctx, treeID, done.Effects)
	}
	return err
}

// GetComputer reads one.
func (a *API) GetComputer(ctx context.Context, req *masterv1.GetComputerRequest) (*masterv1.GetComputerResponse, error) {
	c, err := a.Store.Computer(ctx, req.GetComputer())
	if err != nil {
		return nil, coded(err)
	}
	out, err := a.describe(ctx, c)
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.GetComputerResponse{Computer: out}, nil
}

// ListComputers reads a page; the token is the last name.
func (a *API) ListComputers(ctx context.Context, req *masterv1.ListComputersRequest) (*masterv1.ListComputersResponse, error) {
	names, err := a.Store.ComputerNames(ctx)
	if err != nil {
		return nil, coded(err)
	}
	from, found := slices.BinarySearch(names, req.GetPageToken())
	if found {
		from++
	}
	size := pageSize(req.GetPageSize(), 100)
	page := names[from:min(from+size, len(names))]
	computers, err := a.Store.Computers(ctx, page)
	if err != nil {
		return nil, coded(err)
	}
	res := &masterv1.ListComputersResponse{}
	for _, c := range computers {
		out, err := a.describe(ctx, c)
		if err != nil {
			return nil, coded(err)
		}
		res.Computers = append(res.Computers, out)
	}
	if from+size < len(names) {
		res.NextPageToken = page[len(page)-1]
	}
	return res, nil
}

// describe reads what the trees say of a computer's partitions.
func (a *API) describe(ctx context.Context, c *redisstore.Computer) (*masterv1.Computer, error) {
	titles, colours := map[string]string{}, map[string]fleet.Status{}
	for _, treeID := range c.Trees() {
		err := a.Store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
			for _, p := range t.Partitions {
				if p.Computer == c.Name {
					titles[p.InstanceID] = t.Instances[p.InstanceID].Title
					colours[p.InstanceID] = t.PartitionColour(p.InstanceID, now, a.Started)
				}
			}
			return nil
		})
		if err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	return a.computer(c, titles, colours, time.Now()), nil
}

func pageSize(asked uint32, otherwise int) int {
	if asked == 0 {
		return otherwise
	}
	return int(asked)
}
