package placement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/parameter"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

const (
	// CommitWithin is how long a reservation may wait for its commit; one that took longer is given up.
	CommitWithin = 15 * time.Second
	// OrphanAfter is how long a reservation must be seen without its allocation before it is released.
	OrphanAfter = 30 * time.Second
	// attempts to reserve: others took the partition that was free a moment ago.
	attempts = 8
)

// Placer places instances.
type Placer struct {
	store      *redisstore.Store
	parameters *parameter.Checker
	log        *slog.Logger
	hostings   *hostings
}

// New makes a placer. It checks parameters that nothing was known of when they were requested.
func New(store *redisstore.Store, parameters *parameter.Checker, log *slog.Logger) *Placer {
	return &Placer{store, parameters, log, newHostings()}
}

// Settle carries out what a committed change asks for beyond its tree. What fails here is done by Reconcile later, so that
// its error only tells that it is not done yet.
func (p *Placer) Settle(ctx context.Context, e fleet.Effects) error {
	return p.settle(ctx, e, &round{})
}

func (p *Placer) settle(ctx context.Context, e fleet.Effects, seen *round) error {
	var errs []error
	for _, r := range e.Rebound {
		errs = append(errs, p.rebind(ctx, r.Computer, r.Partition, r.From, r.InstanceID, seen))
	}
	for _, freed := range e.Freed {
		errs = append(errs, p.Release(ctx, freed.Computer, freed.Partition, freed.InstanceID))
	}
	p.hostings.add(e.Hosting)
	for _, instanceID := range e.Place {
		errs = append(errs, p.place(ctx, instanceID, seen))
	}
	return errors.Join(errs...)
}

// rebind makes a reservation one of another instance, if it is still that of from. Idempotent.
func (p *Placer) rebind(ctx context.Context, computer, partition, from, to string, seen *round) error {
	c, err := p.store.ChangeComputer(ctx, computer, func(c *redisstore.Computer) error {
		if !c.Registered() {
			return &redisstore.NotFoundError{Kind: "computer", Name: computer}
		}
		if r := c.Reservations[partition]; r.GetInstanceId() == from {
			r.InstanceId = to
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return nil
	}
	if err == nil {
		seen.changed(c)
	}
	return err
}

// Bury frees the title of a tree of which nothing is left and deletes it. Idempotent; any other tree is left alone.
func (p *Placer) Bury(ctx context.Context, treeID string) error {
	var account, title string
	err := p.store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
		if t.Gone() {
			account, title = t.Account, t.Title
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return nil
	}
	if err != nil || account == "" {
		return err
	}
	if err := p.store.ReleaseRoot(ctx, account, title, treeID); err != nil {
		return err
	}
	return p.store.Purge(ctx, treeID)
}

// errTaken says that a partition that was free is not any more.
var errTaken = errors.New("the partition was taken meanwhile")

// Place finds a partition for an instance and commits it, or stores exactly why there is none. Idempotent; an instance that
// is gone, destroyed or allocated is left alone.
func (p *Placer) Place(ctx context.Context, instanceID string) error {
	return p.place(ctx, instanceID, &round{})
}

// round is the fleet as one round of placing knows it: read when it is first needed, and again when it turns out to be old.
type round struct {
	read      bool
	computers []*redisstore.Computer
	hosts     map[fleet.HostKey][]fleet.HostView
}

// changed takes over a computer.
func (r *round) changed(c *redisstore.Computer) {
	for i := range r.computers {
		if r.computers[i].Name == c.Name {
			r.computers[i] = c
		}
	}
}

func (p *Placer) place(ctx context.Context, instanceID string, seen *round) error {
	for range attempts {
		wanted, shared, ok, err := p.wanted(ctx, instanceID)
		switch {
		case err != nil || !ok:
			return err
		case shared.SharedID != "":
			return p.placeShared(ctx, shared, seen)
		}
		computers, err := p.candidates(ctx, wanted.Computer, seen)
		if err != nil {
			return err
		}
		computer, partition, reason := choose(instanceID, wanted, computers)
		if computer == nil {
			_, err := p.store.Update(ctx, redisstore.Change{Tree: fleet.TreeID(instanceID), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
				_, effects, err := t.Unallocated(fleet.Unallocated{InstanceID: instanceID, Reason: reason}, now)
				return nil, effects, err
			}})
			return ignoreRefused(err)
		}
		begun := time.Now()
		reserved, err := p.reserve(ctx, computer.Name, partition, instanceID, wanted)
		if errors.Is(err, errTaken) {
			seen.read = false
			continue
		}
		if err != nil {
			return err
		}
		seen.changed(reserved)
		return p.commit(ctx, reserved, partition, instanceID, wanted.Release, begun)
	}
	return fmt.Errorf("cannot place %s: partitions are taken faster than it can reserve one", instanceID)
}

// wanted reads what an instance needs; false when it needs nothing.
func (p *Placer) wanted(ctx context.Context, instanceID string) (wanted fleet.PlaceRequest, shared fleet.HostRequest, ok bool, err error) {
	err = p.store.View(ctx, fleet.TreeID(instanceID), func(t *fleet.Tree, _ time.Time) error {
		i := t.Instances[instanceID]
		if i != nil && t.Waits(i) {
			wanted, ok = wantedOf(i), true
			shared, _ = t.HostWanted(instanceID)
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return wanted, shared, false, nil
	}
	return wanted, shared, ok, err
}

func wantedOf(i *fleet.Instance) fleet.PlaceRequest {
	return fleet.PlaceRequest{Release: i.Release, Computer: i.Computer, Sla: i.Sla}
}

// candidates are the computers to choose from: the one that was asked for, or all. Reading all of a thousand computers costs some 20 ms; requests are rare.
func (p *Placer) candidates(ctx context.Context, name string, seen *round) ([]*redisstore.Computer, error) {
	if name != "" {
		return p.store.Computers(ctx, []string{name})
	}
	if seen.read {
		return seen.computers, nil
	}
	names, err := p.store.ComputerNames(ctx)
	if err != nil {
		return nil, err
	}
	seen.computers, err = p.store.Computers(ctx, names)
	seen.read = err == nil
	return seen.computers, err
}

// choose prefers the partition that the instance has reserved already: an attempt was cut short after reserving it.
func choose(instanceID string, wanted fleet.PlaceRequest, computers []*redisstore.Computer) (at *redisstore.Computer, partition, reason string) {
	byName := map[string]*redisstore.Computer{}
	views := make([]fleet.ComputerView, 0, len(computers))
	for _, c := range computers {
		byName[c.Name] = c
		if partition := c.Reserved(instanceID); partition != "" && c.Record.GetClosure() == nil {
			return c, partition, ""
		}
		views = append(views, viewOf(c, wanted.Release))
	}
	wanted.Release = telemetry.Redacted(wanted.Release) // from here on it is only named
	chosen, reason, ok := fleet.ChoosePlace(wanted, views)
	if !ok {
		return nil, "", reason
	}
	return byName[chosen.Computer], chosen.Partition, ""
}

// viewOf is what the choice of a place looks at.
func viewOf(c *redisstore.Computer, release string) fleet.ComputerView {
	view := fleet.ComputerView{
		Name: c.Name, Supplied: supplied(c, release), Partitions: len(c.Slots), Closed: closed(c.Record.GetClosure()),
		Group: c.Record.GetGroup(), Labels: c.Record.GetLabels(), Has: c.Has(), Reserved: c.Needed(),
	}
	for name := range c.Slots {
		if c.Reservations[name] == nil {
			view.Free = append(view.Free, name)
		}
	}
	return view
}

func supplied(c *redisstore.Computer, release string) bool {
	s := c.Software[release]
	return s != nil && s.GetRequested() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
}

// reserve takes a partition, if the computer still has what is needed.
func (p *Placer) reserve(ctx context.Context, computer, partition, instanceID string, wanted fleet.PlaceRequest) (*redisstore.Computer, error) {
	return p.store.ChangeComputer(ctx, computer, func(c *redisstore.Computer) error {
		if c.Reservations[partition].GetInstanceId() != instanceID {
			if _, _, ok := fleet.ChoosePlace(wanted, []fleet.ComputerView{viewOf(c, wanted.Release)}); !ok {
				return errTaken
			}
		}
		return hold(c, partition, instanceID, wanted.Sla.Needs)
	})
}

// hold reserves a partition of a computer that is being changed, whatever else the computer has.
func hold(c *redisstore.Computer, partition, instanceID string, needs fleet.Needs) error {
	switch held := c.Reservations[partition]; {
	case c.Slots[partition] == nil:
		return errTaken
	case held == nil:
		c.Reservations[partition] = &storev1.ReservationRecord{InstanceId: instanceID, At: timestamppb.Now(), Needs: redisstore.NeedsRecord(needs)}
	case held.GetInstanceId() != instanceID:
		return errTaken
	}
	return nil
}

// commit makes the reservation an allocation of the tree.
func (p *Placer) commit(ctx context.Context, c *redisstore.Computer, partition, instanceID, release string, begun time.Time) error {
	if time.Since(begun) > CommitWithin {
		return errors.Join(fmt.Errorf("cannot place %s: its reservation took too long", instanceID), p.Release(ctx, c.Name, partition, instanceID))
	}
	ctx, cancel := context.WithTimeout(ctx, CommitWithin)
	defer cancel()
	described, err := p.parameters.Of(ctx, release)
	if err != nil {
		return err
	}
	_, err = p.store.Update(ctx, redisstore.Change{Tree: fleet.TreeID(instanceID), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		problem := ""
		if i := t.Instances[instanceID]; i != nil && i.Release == release {
			problem = described.Check(i.Type, false, i.Parameters)
		}
		_, effects, err := t.Allocate(fleet.Allocate{
			InstanceID: instanceID, Computer: c.Name, Partition: partition,
			ComputerPeriod: c.Record.GetPeriodicity().AsDuration(), Addresses: fleet.Known(c.Slots[partition].GetAddresses()), Options: Options(c.Software[release].GetOptions()),
			ParameterProblem: problem,
		}, now)
		return nil, effects, err
	}})
	if err == nil {
		p.store.ComputerChanged(ctx, c.Name)
		return nil
	}
	if refused(err) {
		return p.giveUp(ctx, reservation{c.Name, partition, instanceID}) // gone, destroyed or placed elsewhere meanwhile
	}
	return err
}

// giveUp takes back a reservation that became no allocation: it goes to whom the tree has there, if anybody, or is released.
func (p *Placer) giveUp(ctx context.Context, at reservation) error {
	_, moved, err := p.unallocated(ctx, fleet.TreeID(at.instanceID), []reservation{at})
	if err != nil {
		return err
	}
	if to := moved[at]; to != "" {
		return p.rebind(ctx, at.computer, at.partition, at.instanceID, to, &round{})
	}
	return p.Release(ctx, at.computer, at.partition, at.instanceID)
}

// Release gives a partition back if it is still reserved for the instance. Idempotent.
func (p *Placer) Release(ctx context.Context, computer, partition, instanceID string) error {
	_, err := p.store.ChangeComputer(ctx, computer, func(c *redisstore.Computer) error {
		if !c.Registered() {
			return &redisstore.NotFoundError{Kind: "computer", Name: computer}
		}
		if c.Reservations[partition].GetInstanceId() == instanceID {
			delete(c.Reservations, partition)
		}
		return nil
	})
	if notFound := new(redisstore.NotFoundError); errors.As(err, &notFound) {
		return nil
	}
	return err
}

// Options is what a release says about its instances, for the core.
func Options(o *masterv1.ReleaseOptions) fleet.Options {
	if o == nil {
		return fleet.Options{}
	}
	options := fleet.Options{Period: o.GetPeriodicity().AsDuration(), Policy: fleet.Policy(o.GetBangPolicy())}
	if o.BangQuota != nil {
		quota := o.GetBangQuota()
		options.Quota = &quota
	}
	return options
}

// refused tells whether the core, or the lack of a tree, decided against an event: trying again does not help.
func refused(err error) bool {
	notFound := new(redisstore.NotFoundError)
	return fleet.KindOf(err) != 0 || errors.As(err, &notFound)
}

func ignoreRefused(err error) error {
	if refused(err) {
		return nil
	}
	return err
}
