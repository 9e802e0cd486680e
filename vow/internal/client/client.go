package client

import (
	"fmt"
	"os/user"

	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	"github.com/vow-os/vow/gen/vowclient"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/endpoint"
)

// maxAnswer bounds what one answer may be: a tree of 1,000 instances with 64 KiB of parameters each is 64 MiB.
const maxAnswer = 128 << 20

// Fleet is the clients of every service.
type Fleet struct {
	// Endpoints is where they are.
	Endpoints endpoint.Set

	Computers    masterv1connect.ComputerServiceClient
	Software     masterv1connect.SoftwareServiceClient
	Instances    masterv1connect.InstanceServiceClient
	Trees        masterv1connect.TreeServiceClient
	Bangs        masterv1connect.BangServiceClient
	Convergences masterv1connect.ConvergenceServiceClient
	Usage        masterv1connect.UsageServiceClient
	Audit        masterv1connect.AuditServiceClient
	Links        masterv1connect.LinkServiceClient
	Feed         masterv1connect.FeedServiceClient
	Agenda       schedulerv1connect.AgendaServiceClient
	Promises     promisev1connect.PromiseServiceClient
	// Node is the local node; nil where there is no socket.
	Node nodev1connect.NodeServiceClient
	// Vow waits and follows.
	Vow *vowclient.Client

	// Examinations are every service's own, in the order of the way of a call.
	Examinations []Examination

	connections []*rpc.Client
}

// Examination is whom to ask how a service is.
type Examination struct {
	// Service is its name, Address where it is.
	Service, Address string
	Client           examinev1connect.ExamineServiceClient
}

// New makes the clients; nothing is dialled before the first call.
func New(e endpoint.Set) (*Fleet, error) {
	f := &Fleet{Endpoints: e}
	master, err := f.connect("svc-master", e.Master)
	if err != nil {
		return nil, err
	}
	f.Computers = masterv1connect.NewComputerServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Software = masterv1connect.NewSoftwareServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Instances = masterv1connect.NewInstanceServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Trees = masterv1connect.NewTreeServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Bangs = masterv1connect.NewBangServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Convergences = masterv1connect.NewConvergenceServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Usage = masterv1connect.NewUsageServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Audit = masterv1connect.NewAuditServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Links = masterv1connect.NewLinkServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Feed = masterv1connect.NewFeedServiceClient(master.HTTP(), master.BaseURL(), master.Options()...)
	f.Vow = vowclient.New(master.HTTP(), master.BaseURL(), master.Options()...)
	scheduler, err := f.connect("svc-scheduler", e.Scheduler)
	if err != nil {
		return nil, err
	}
	f.Agenda = schedulerv1connect.NewAgendaServiceClient(scheduler.HTTP(), scheduler.BaseURL(), scheduler.Options()...)
	promise, err := f.connect("svc-promise", e.Promise)
	if err != nil {
		return nil, err
	}
	f.Promises = promisev1connect.NewPromiseServiceClient(promise.HTTP(), promise.BaseURL(), promise.Options()...)
	if e.Node != "" {
		node, err := f.connect("svc-node", e.Node)
		if err != nil {
			return nil, err
		}
		f.Node = nodev1connect.NewNodeServiceClient(node.HTTP(), node.BaseURL(), node.Options()...)
	}
	return f, nil
}

func (f *Fleet) connect(service, address string) (*rpc.Client, error) {
	c, err := rpc.NewClient(rpc.Target{Address: address, Name: service}, rpc.ClientSettings{ReadMaxBytes: maxAnswer, Caller: whoami()})
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %w", service, err)
	}
	f.connections = append(f.connections, c)
	f.Examinations = append(f.Examinations, Examination{service, address, examinev1connect.NewExamineServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)})
	return c, nil
}

// whoami is the user's name, for the audit; empty when it cannot be found.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// Close ends the connections.
func (f *Fleet) Close() {
	for _, c := range f.connections {
		c.Close()
	}
}
