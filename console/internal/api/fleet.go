package api

import (
	"context"
	"fmt"
	"time"

	"github.com/vow-os/vow/console/ask"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/gen/vowclient"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
)

// Bounds of what is asked.
const (
	// maxAnswer is what one answer may be: a tree of 1,000 instances with 64 KiB of parameters each is 64 MiB.
	maxAnswer = 128 << 20
	// callPage is how much of a list one call asks for: the most that svc-master gives.
	callPage = 1000
	// MaxListed bounds a list of the whole fleet.
	MaxListed = 20000
	// fresh is how old a list of the whole fleet may be: pages that are woken together share one.
	fresh = time.Second
	// spacing is the least time between two askings for one list, however often it changes.
	spacing = 250 * time.Millisecond
	// listTimeout bounds the making of one, whoever waits for it.
	listTimeout = 10 * time.Second
)

// Addresses is where the services are.
type Addresses struct {
	Master, Scheduler, Promise string
}

// Fleet is the clients of every service.
type Fleet struct {
	ask.Services

	// Addresses is where they are.
	Addresses Addresses
	Instances masterv1connect.InstanceServiceClient
	Feed      masterv1connect.FeedServiceClient
	Audit     masterv1connect.AuditServiceClient

	connections []*rpc.Client
	trees       recent[[]*masterv1.Tree]
	computers   recent[[]*masterv1.Computer]
	agenda      recent[[]*schedulerv1.AgendaEntry]
}

// New makes the clients; nothing is dialled before the first call. dial may be nil.
func New(at Addresses, dial rpc.Dial, t *telemetry.Telemetry) (*Fleet, error) {
	f := &Fleet{Addresses: at}
	connect := func(service, address string) (*rpc.Client, error) {
		c, err := rpc.NewClient(rpc.Target{Address: address, Name: service}, rpc.ClientSettings{ReadMaxBytes: maxAnswer, Dial: dial, Telemetry: t, Caller: "console"})
		if err != nil {
			return nil, fmt.Errorf("cannot reach %s: %w", service, err)
		}
		f.connections = append(f.connections, c)
		return c, nil
	}
	master, err := connect("svc-master", at.Master)
	if err != nil {
		return nil, err
	}
	scheduler, err := connect("svc-scheduler", at.Scheduler)
	if err != nil {
		return nil, err
	}
	promise, err := connect("svc-promise", at.Promise)
	if err != nil {
		return nil, err
	}
	f.Services = ask.Services{
		SchedulerAddress: at.Scheduler, PromiseAddress: at.Promise,
		Computers:    masterv1connect.NewComputerServiceClient(master.HTTP(), master.BaseURL(), master.Options()...),
		Software:     masterv1connect.NewSoftwareServiceClient(master.HTTP(), master.BaseURL(), master.Options()...),
		Trees:        masterv1connect.NewTreeServiceClient(master.HTTP(), master.BaseURL(), master.Options()...),
		Bangs:        masterv1connect.NewBangServiceClient(master.HTTP(), master.BaseURL(), master.Options()...),
		Convergences: masterv1connect.NewConvergenceServiceClient(master.HTTP(), master.BaseURL(), master.Options()...),
		Links:        masterv1connect.NewLinkServiceClient(master.HTTP(), master.BaseURL(), master.Options()...),
		Agenda:       schedulerv1connect.NewAgendaServiceClient(scheduler.HTTP(), scheduler.BaseURL(), scheduler.Options()...),
		Promises:     promisev1connect.NewPromiseServiceClient(promise.HTTP(), promise.BaseURL(), promise.Options()...),
	}
	f.Instances = masterv1connect.NewInstanceServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Feed = masterv1connect.NewFeedServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Audit = masterv1connect.NewAuditServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.trees.make, f.computers.make, f.agenda.make = f.listTrees, f.listComputers, f.listAgenda
	return f, nil
}

// Close ends the connections.
func (f *Fleet) Close() {
	for _, c := range f.connections {
		c.Close()
	}
}

// AllTrees is the trees of the fleet without their instances, at most MaxListed, a second old at most.
func (f *Fleet) AllTrees(ctx context.Context) ([]*masterv1.Tree, error) { return f.trees.get(ctx) }

// AllComputers is the computers of the fleet, at most MaxListed, a second old at most.
func (f *Fleet) AllComputers(ctx context.Context) ([]*masterv1.Computer, error) {
	return f.computers.get(ctx)
}

// WholeAgenda is the agenda of the fleet, next due first, a second old at most.
func (f *Fleet) WholeAgenda(ctx context.Context) ([]*schedulerv1.AgendaEntry, error) {
	return f.agenda.get(ctx)
}

// Changed says that lists that were asked for before now are old.
func (f *Fleet) Changed() {
	f.trees.forget()
	f.computers.forget()
	f.agenda.forget()
}

func (f *Fleet) listTrees(ctx context.Context) ([]*masterv1.Tree, error) {
	return listed("trees", func(token string) ([]*masterv1.Tree, string, error) {
		page, err := f.Trees.ListTrees(ctx, &masterv1.ListTreesRequest{PageSize: callPage, PageToken: token})
		return page.GetTrees(), page.GetNextPageToken(), err
	})
}

func (f *Fleet) listComputers(ctx context.Context) ([]*masterv1.Computer, error) {
	return listed("computers", func(token string) ([]*masterv1.Computer, string, error) {
		page, err := f.Computers.ListComputers(ctx, &masterv1.ListComputersRequest{PageSize: callPage, PageToken: token})
		return page.GetComputers(), page.GetNextPageToken(), err
	})
}

// listed reads pages until there are no more, or MaxListed is reached.
func listed[T any](what string, fetch func(token string) ([]T, string, error)) (all []T, err error) {
	for item, err := range vowclient.Pages(fetch) {
		if err != nil {
			return nil, fmt.Errorf("cannot list the %s: %w", what, err)
		}
		if all = append(all, item); len(all) == MaxListed {
			break
		}
	}
	return all, nil
}

func (f *Fleet) listAgenda(ctx context.Context) ([]*schedulerv1.AgendaEntry, error) {
	answer, err := f.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the agenda: %w", err)
	}
	return answer.GetEntries(), nil
}
