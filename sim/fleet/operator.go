package fleet

import (
	"context"
	"errors"
	"fmt"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// Operator is a person with a command line: a client of the generated code.
type Operator struct {
	Computers    masterv1connect.ComputerServiceClient
	Software     masterv1connect.SoftwareServiceClient
	Instances    masterv1connect.InstanceServiceClient
	Trees        masterv1connect.TreeServiceClient
	Bangs        masterv1connect.BangServiceClient
	Convergences masterv1connect.ConvergenceServiceClient
	Runs         masterv1connect.RunServiceClient
	Agenda       schedulerv1connect.AgendaServiceClient

	clients []*rpc.Client
}

func newOperator(dial rpc.Dial) (*Operator, error) {
	o := &Operator{}
	toMaster, err := rpc.NewClient(rpc.Target{Address: address(Master, 7711)}, rpc.ClientSettings{Dial: dial})
	if err != nil {
		return nil, err
	}
	toScheduler, err := rpc.NewClient(rpc.Target{Address: address(Scheduler, 7712)}, rpc.ClientSettings{Dial: dial})
	if err != nil {
		return nil, err
	}
	o.clients = []*rpc.Client{toMaster, toScheduler}
	h, u, options := toMaster.HTTP(), toMaster.BaseURL(), toMaster.Options()
	o.Computers = masterv1connect.NewComputerServiceClient(h, u, options...)
	o.Software = masterv1connect.NewSoftwareServiceClient(h, u, options...)
	o.Instances = masterv1connect.NewInstanceServiceClient(h, u, options...)
	o.Trees = masterv1connect.NewTreeServiceClient(h, u, options...)
	o.Bangs = masterv1connect.NewBangServiceClient(h, u, options...)
	o.Convergences = masterv1connect.NewConvergenceServiceClient(h, u, options...)
	o.Runs = masterv1connect.NewRunServiceClient(h, u, options...)
	o.Agenda = schedulerv1connect.NewAgendaServiceClient(toScheduler.HTTP(), toScheduler.BaseURL(), toScheduler.Options()...)
	return o, nil
}

func (o *Operator) close() {
	for _, c := range o.clients {
		c.Close()
	}
}

func (o *Operator) computer(ctx context.Context, name string) (*masterv1.Computer, error) {
	answer, err := o.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: name})
	return answer.GetComputer(), err
}

func (o *Operator) supply(ctx context.Context, release, computer string) error {
	_, err := o.Software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: releaseURL(release), Computer: computer})
	return err
}

// Request requests a root instance.
func (o *Operator) Request(ctx context.Context, title, release, computer string, parameters map[string]string) (*masterv1.RequestInstanceResponse, error) {
	return o.Instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{
		Title: title, SoftwareRelease: releaseURL(release), Computer: computer, Parameters: parameters,
	})
}

// Tree is the tree of a root title.
func (o *Operator) Tree(ctx context.Context, title string) (*masterv1.Tree, error) {
	answer, err := o.Trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Title{Title: title}})
	return answer.GetTree(), err
}

// all is every tree with its instances, by title.
func (o *Operator) all(ctx context.Context) ([]*masterv1.Tree, error) {
	var trees []*masterv1.Tree
	for page := ""; ; {
		answer, err := o.Trees.ListTrees(ctx, &masterv1.ListTreesRequest{PageToken: page})
		if err != nil {
			return nil, err
		}
		for _, t := range answer.GetTrees() {
			full, err := o.Trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: t.GetTreeId()}})
			if err != nil {
				return nil, err
			}
			trees = append(trees, full.GetTree())
		}
		if page = answer.GetNextPageToken(); page == "" {
			return trees, nil
		}
	}
}

// trees is the titles of trees and instances by id.
func (o *Operator) trees(ctx context.Context) (map[string]string, error) {
	all, err := o.all(ctx)
	if err != nil {
		return nil, err
	}
	titles := map[string]string{}
	for _, t := range all {
		titles[t.GetTreeId()] = t.GetTitle()
		for _, i := range t.GetInstances() {
			titles[i.GetInstanceId()] = i.GetTitle()
		}
	}
	return titles, nil
}

// Instance finds an instance by its title, in any tree.
func (o *Operator) Instance(ctx context.Context, title string) (*masterv1.Instance, error) {
	all, err := o.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		for _, i := range t.GetInstances() {
			if i.GetTitle() == title {
				return i, nil
			}
		}
	}
	return nil, fmt.Errorf("cannot find an instance %q", title)
}

// Bang bangs a tree by hand.
func (o *Operator) Bang(ctx context.Context, title, request string) (*masterv1.BangResult, error) {
	t, err := o.Tree(ctx, title)
	if err != nil {
		return nil, err
	}
	answer, err := o.Bangs.Bang(ctx, &masterv1.BangRequest{
		RequestId: request, Target: &masterv1.BangRequest_TreeId{TreeId: t.GetTreeId()}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL,
		Source: "operator", Message: "by hand",
	})
	if err != nil {
		return nil, err
	}
	return answer.GetResults()[0], nil
}

// Green says what keeps a tree from being green.
func (o *Operator) Green(ctx context.Context, title string) error {
	t, err := o.Tree(ctx, title)
	switch {
	case err != nil:
		return err
	case t.GetColour().GetColour() != typev1.Colour_COLOUR_GREEN:
		return errors.New(t.GetColour().GetReason())
	}
	return nil
}

// Red lists the instances that are red, those with a red that is not confirmed too.
func (o *Operator) Red(ctx context.Context) ([]string, error) {
	all, err := o.all(ctx)
	if err != nil {
		return nil, err
	}
	var red []string
	for _, t := range all {
		for _, i := range t.GetInstances() {
			if i.GetStatus().GetColour().GetColour() == typev1.Colour_COLOUR_RED {
				red = append(red, i.GetTitle()+" ("+i.GetStatus().GetColour().GetReason()+")")
			}
		}
	}
	return red, nil
}

// Converged says what keeps a tree from having no open convergence.
func (o *Operator) Converged(ctx context.Context, title string) error {
	t, err := o.Tree(ctx, title)
	switch {
	case err != nil:
		return err
	case t.GetConvergenceId() != "":
		return fmt.Errorf("convergence %s is open", t.GetConvergenceId())
	}
	return nil
}

// agenda is every entry of the agendas.
func (o *Operator) agenda(ctx context.Context) ([]*schedulerv1.AgendaEntry, error) {
	answer, err := o.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{})
	return answer.GetEntries(), err
}
