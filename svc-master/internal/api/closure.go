package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// LabelComputer says what operators say of a computer.
func (a *API) LabelComputer(ctx context.Context, req *masterv1.LabelComputerRequest) (*masterv1.LabelComputerResponse, error) {
	by := caller(ctx, "")
	_, err := a.changeKnown(ctx, req.GetComputer(), func(c *redisstore.Computer) error {
		names := redisstore.Differing("label ", c.Record.GetLabels(), req.GetLabels(), func(a, b string) bool { return a == b })
		if c.Record.GetGroup() != req.GetGroup() {
			names = append(names, "group")
		}
		c.Audit(by, &masterv1.AuditEntry{Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_LABELLED, Changes: names})
		c.Record.Group, c.Record.Labels = req.GetGroup(), req.GetLabels()
		return nil
	})
	if err != nil {
		return nil, coded(err)
	}
	res, err := a.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: req.GetComputer()})
	return &masterv1.LabelComputerResponse{Computer: res.GetComputer()}, err
}

// changeKnown changes a computer that is registered.
func (a *API) changeKnown(ctx context.Context, name string, change func(*redisstore.Computer) error) (*redisstore.Computer, error) {
	return a.Store.ChangeComputer(ctx, name, func(c *redisstore.Computer) error {
		if !c.Registered() {
			return &redisstore.NotFoundError{Kind: "computer", Name: name}
		}
		return change(c)
	})
}

// DrainComputer closes a computer and lets leave what fits elsewhere.
func (a *API) DrainComputer(ctx context.Context, req *masterv1.DrainComputerRequest) (*masterv1.DrainComputerResponse, error) {
	leaving, err := a.closeComputer(ctx, req.GetComputer(), &masterv1.Closure{
		Kind: masterv1.ClosureKind_CLOSURE_KIND_DRAIN, Reason: req.GetReason(), By: req.GetBy(), All: req.GetAll(),
	})
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.DrainComputerResponse{Leaving: leaving}, nil
}

// EvictComputer closes a dead computer and takes away what may leave it.
func (a *API) EvictComputer(ctx context.Context, req *masterv1.EvictComputerRequest) (*masterv1.EvictComputerResponse, error) {
	c, err := a.Store.Computer(ctx, req.GetComputer())
	if err != nil {
		return nil, coded(err)
	}
	begun := c.Record.GetClosure().GetKind() == masterv1.ClosureKind_CLOSURE_KIND_EVICT
	if s := fleet.ComputerColour(c.Contact, time.Now(), a.Started); !begun && !req.GetForce() && (s.Colour != fleet.Red || s.Unconfirmed) {
		state := s.Colour.String()
		if s.Unconfirmed {
			state += ", and not confirmed since the control plane started"
		}
		return nil, coded(&redisstore.StateError{Message: fmt.Sprintf("cannot evict computer %q: it is %s; drain it, or force", c.Name, state)})
	}
	leaving, err := a.closeComputer(ctx, req.GetComputer(), &masterv1.Closure{
		Kind: masterv1.ClosureKind_CLOSURE_KIND_EVICT, Reason: req.GetReason(), By: req.GetBy(), All: req.GetAll(),
	})
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.EvictComputerResponse{Leaving: leaving}, nil
}

// closeComputer closes a computer, so that nothing is put on it meanwhile, and then lets leave what may.
func (a *API) closeComputer(ctx context.Context, name string, closure *masterv1.Closure) ([]*masterv1.Leaving, error) {
	by := caller(ctx, closure.GetBy())
	kind := masterv1.AuditKind_AUDIT_KIND_COMPUTER_DRAINED
	if closure.GetKind() == masterv1.ClosureKind_CLOSURE_KIND_EVICT {
		kind = masterv1.AuditKind_AUDIT_KIND_COMPUTER_EVICTED
	}
	c, err := a.changeKnown(ctx, name, func(c *redisstore.Computer) error {
		c.Audit(by, &masterv1.AuditEntry{Kind: kind, Reason: closure.GetReason()})
		closure.Since = timestamppb.Now()
		if c.Record.GetClosure().GetKind() == closure.GetKind() {
			closure.Since = c.Record.GetClosure().GetSince()
		}
		c.Record.Closure = closure
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.Placer.Leave(ctx, c)
}

// OpenComputer ends a closure, or a decommissioning.
func (a *API) OpenComputer(ctx context.Context, req *masterv1.OpenComputerRequest) (*masterv1.OpenComputerResponse, error) {
	by := caller(ctx, "")
	_, err := a.Store.ChangeComputer(ctx, req.GetComputer(), func(c *redisstore.Computer) error {
		c.Audit(by, &masterv1.AuditEntry{Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_OPENED})
		if c.Version == 0 {
			return &redisstore.NotFoundError{Kind: "computer", Name: req.GetComputer()}
		}
		c.Record.Closure, c.Record.DecommissionedAt = nil, nil
		return nil
	})
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.OpenComputerResponse{}, nil
}

// errForgotten says that a computer is decommissioned already.
var errForgotten = errors.New("the computer is decommissioned")

// DecommissionComputer forgets a computer that holds nothing but what evictions left on it.
func (a *API) DecommissionComputer(ctx context.Context, req *masterv1.DecommissionComputerRequest) (*masterv1.DecommissionComputerResponse, error) {
	res, err := a.decommission(ctx, req)
	if errors.Is(err, errForgotten) {
		return &masterv1.DecommissionComputerResponse{}, nil
	}
	if err != nil {
		return nil, coded(err)
	}
	return res, nil
}

func (a *API) decommission(ctx context.Context, req *masterv1.DecommissionComputerRequest) (*masterv1.DecommissionComputerResponse, error) {
	name, by := req.GetComputer(), caller(ctx, req.GetBy())
	known := func(c *redisstore.Computer) error {
		switch {
		case c.Version == 0:
			return &redisstore.NotFoundError{Kind: "computer", Name: name}
		case !c.Registered():
			return errForgotten
		}
		return nil
	}
	c, err := a.Store.ChangeComputer(ctx, name, func(c *redisstore.Computer) error {
		if err := known(c); err != nil || c.Record.GetClosure() != nil {
			return err
		}
		c.Audit(by, &masterv1.AuditEntry{Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_DRAINED, Reason: "to be decommissioned"})
		c.Record.Closure = &masterv1.Closure{Kind: masterv1.ClosureKind_CLOSURE_KIND_DRAIN, Reason: "to be decommissioned", By: req.GetBy(), Since: timestamppb.Now()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	remnants, err := a.remnants(ctx, c)
	if err != nil {
		return nil, err
	}
	res := &masterv1.DecommissionComputerResponse{}
	for _, r := range remnants {
		err := a.tell(ctx, fleet.TreeID(r.InstanceID), func(t *fleet.Tree, now time.Time) (fleet.Effects, error) {
			_, effects, err := t.Freed(fleet.Freed{AllocationID: r.AllocationID, Reason: "computer " + name + " is decommissioned"}, now)
			return effects, err
		})
		if err != nil && fleet.KindOf(err) != fleet.FailedPrecondition { // gone meanwhile
			return nil, err
		}
		res.Leaving = append(res.Leaving, &masterv1.Leaving{InstanceId: r.InstanceID, Partition: r.Partition, Evicted: true})
	}
	_, err = a.Store.ChangeComputer(ctx, name, func(c *redisstore.Computer) error {
		if err := known(c); err != nil {
			return err
		}
		for _, partition := range c.Partitions() {
			if r := c.Reservations[partition]; r != nil {
				return &redisstore.StateError{Message: fmt.Sprintf("cannot decommission computer %q: partition %q is reserved for instance %s", name, partition, r.GetInstanceId())}
			}
		}
		c.Audit(by, &masterv1.AuditEntry{Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_DECOMMISSIONED})
		c.Record.DecommissionedAt = timestamppb.Now()
		c.Slots, c.Reservations, c.Software = map[string]*storev1.SlotRecord{}, map[string]*storev1.ReservationRecord{}, map[string]*storev1.SoftwareRecord{}
		return nil
	})
	return res, err
}

// remnants lists what evictions left on a computer; an instance that is not one is an error.
func (a *API) remnants(ctx context.Context, c *redisstore.Computer) ([]fleet.Place, error) {
	var remnants []fleet.Place
	for _, treeID := range c.Trees() {
		err := a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			for _, i := range t.Sorted() {
				p := t.Partitions[i.ID]
				switch {
				case p == nil || p.Computer != c.Name:
				case i.Remnant():
					remnants = append(remnants, fleet.Place{Computer: c.Name, Partition: p.Name, AllocationID: p.AllocationID, InstanceID: i.ID})
				default:
					return &redisstore.StateError{Message: fmt.Sprintf("cannot decommission computer %q: partition %q holds instance %q (%s); drain or evict it first, or destroy that instance", c.Name, p.Name, i.Title, i.ID)}
				}
			}
			return nil
		})
		if err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	return remnants, nil
}
