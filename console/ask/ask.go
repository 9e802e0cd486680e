package ask

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/console/relay"
	"github.com/vow-os/vow/console/why"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
)

// Bounds of what is asked about one thing: a tree of a thousand red members has few causes.
const (
	maxComputers = 16
	maxMembers   = 8
	maxBangs     = 100
	// nodeWithin is how long a node may take to answer: whether it does is part of the answer.
	nodeWithin = 2 * time.Second
)

// ID matches the ids of trees and of what belongs to them; its first group is the part after the tree's.
var ID = regexp.MustCompile(`^t[0-9a-hjkmnp-tv-z]{12}(\.[iabc][0-9]+)?$`)

// Services is whom to ask.
type Services struct {
	// SchedulerAddress and PromiseAddress are where two of them are, for the words about one that does not answer.
	SchedulerAddress, PromiseAddress string

	Computers    masterv1connect.ComputerServiceClient
	Software     masterv1connect.SoftwareServiceClient
	Trees        masterv1connect.TreeServiceClient
	Bangs        masterv1connect.BangServiceClient
	Convergences masterv1connect.ConvergenceServiceClient
	Links        masterv1connect.LinkServiceClient
	Agenda       schedulerv1connect.AgendaServiceClient
	Promises     promisev1connect.PromiseServiceClient
}

// GetTree finds a tree by its title, or by the id of anything in it.
func GetTree(ctx context.Context, s Services, name string) (*masterv1.Tree, error) {
	request := &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Title{Title: name}}
	if ID.MatchString(name) {
		request.By = &masterv1.GetTreeRequest_Id{Id: name}
	}
	response, err := s.Trees.GetTree(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("cannot get tree %q: %w", name, err)
	}
	return response.GetTree(), nil
}

// About asks the services about a thing: a tree (title or id), TREE/TITLE, the id of an instance or allocation, a computer, or COMPUTER/PARTITION; a tree comes before a
// computer of the same name.
func About(ctx context.Context, s Services, name string) (why.Facts, error) {
	tree, instance, err := findInTree(ctx, s, name)
	if err == nil {
		facts := why.Facts{Tree: tree, Instance: instance}
		return facts, Tree(ctx, s, &facts)
	}
	if !rpc.IsNotFound(err) || ID.MatchString(name) {
		return why.Facts{}, err
	}
	return onComputer(ctx, s, name)
}

// findInTree finds a tree, and the instance in it that is meant; empty = the whole tree.
func findInTree(ctx context.Context, s Services, name string) (*masterv1.Tree, string, error) {
	of, title, inside := strings.Cut(name, "/")
	tree, err := GetTree(ctx, s, of)
	if err != nil {
		return nil, "", err
	}
	if !inside {
		for _, i := range tree.GetInstances() {
			if name == i.GetInstanceId() || name == i.GetAllocationId() {
				return tree, i.GetInstanceId(), nil
			}
		}
		return tree, "", nil
	}
	var titles []string
	for _, i := range tree.GetInstances() {
		if i.GetTitle() == title {
			return tree, i.GetInstanceId(), nil
		}
		titles = append(titles, i.GetTitle())
	}
	return nil, "", fmt.Errorf("cannot find instance %q: tree %s has %s", name, tree.GetTitle(), strings.Join(titles, ", "))
}

// onComputer asks about a computer, or about what one of its partitions holds.
func onComputer(ctx context.Context, s Services, name string) (why.Facts, error) {
	of, partition, inside := strings.Cut(name, "/")
	response, err := s.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: of})
	if rpc.IsNotFound(err) {
		return why.Facts{}, fmt.Errorf("cannot find %q: there is no tree and no computer of that name", of)
	}
	if err != nil {
		return why.Facts{}, fmt.Errorf("cannot get computer %q: %w", of, err)
	}
	facts := why.Facts{Computer: response.GetComputer(), Software: map[string][]*masterv1.Software{}}
	if !inside {
		software, err := s.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: of})
		if err != nil {
			return facts, fmt.Errorf("cannot list the software of %q: %w", of, err)
		}
		facts.Software[of] = software.GetSoftware()
		Node(ctx, s, &facts)
		return facts, nil
	}
	for _, p := range response.GetComputer().GetPartitions() {
		if p.GetName() != partition {
			continue
		}
		if p.GetInstanceId() == "" {
			return why.Facts{}, fmt.Errorf("cannot say why %q has a colour: it is free, and has none", name)
		}
		tree, instance, err := findInTree(ctx, s, p.GetInstanceId())
		if err != nil {
			return facts, err
		}
		facts = why.Facts{Tree: tree, Instance: instance}
		return facts, Tree(ctx, s, &facts)
	}
	return why.Facts{}, fmt.Errorf("cannot find partition %q: computer %s has none of that name", name, of)
}

// Node asks the node of the computer that the facts are about how it is, over its link.
func Node(ctx context.Context, s Services, facts *why.Facts) {
	ctx, cancel := context.WithTimeout(ctx, nodeWithin)
	defer cancel()
	status, err := relay.To(s.Links, facts.Computer.GetName()).GetStatus(ctx, &nodev1.GetStatusRequest{})
	switch {
	case err == nil:
		facts.Node = status
	case rpc.IsUnavailable(err) || rpc.IsDeadlineExceeded(err) || errors.Is(err, context.DeadlineExceeded):
		facts.NodeSilent = true
	default:
		noteSilent(facts, err, "svc-node", "what the node says of itself")
	}
}

// Tree asks what is known of the members that are not well, and of where they are.
func Tree(ctx context.Context, s Services, facts *why.Facts) error {
	facts.Computers, facts.Software = map[string]*masterv1.Computer{}, map[string][]*masterv1.Software{}
	facts.Promises, facts.Agenda = map[string][]*promisev1.PromiseStatus{}, map[string]*schedulerv1.AgendaEntry{}
	members := 0
	for _, i := range facts.Tree.GetInstances() {
		if facts.Instance != "" && facts.Instance != i.GetInstanceId() || i.GetComputer() == "" {
			continue
		}
		if err := aboutComputer(ctx, s, facts, i.GetComputer()); err != nil {
			return err
		}
		red := i.GetStatus().GetColour().GetColour() == typev1.Colour_COLOUR_RED
		if (red || facts.Instance != "") && members < maxMembers {
			members++
			aboutMember(ctx, s, facts, i)
		}
	}
	bangs, err := s.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: facts.Tree.GetTreeId(), PageSize: maxBangs})
	if err != nil {
		return fmt.Errorf("cannot list the bangs of %q: %w", facts.Tree.GetTitle(), err)
	}
	facts.Bangs = bangs.GetBangs()
	list, err := s.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: facts.Tree.GetTreeId(), PageSize: 1})
	if err != nil {
		return fmt.Errorf("cannot list the convergences of %q: %w", facts.Tree.GetTitle(), err)
	}
	if len(list.GetConvergences()) > 0 {
		facts.Convergence = list.GetConvergences()[0]
	}
	return nil
}

// aboutComputer asks about one that is not known yet, as long as they are few.
func aboutComputer(ctx context.Context, s Services, facts *why.Facts, name string) error {
	if facts.Computers[name] != nil || len(facts.Computers) == maxComputers {
		return nil
	}
	response, err := s.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: name})
	if err != nil {
		return fmt.Errorf("cannot get computer %q: %w", name, err)
	}
	facts.Computers[name] = response.GetComputer()
	software, err := s.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{Computer: name})
	if err != nil {
		return fmt.Errorf("cannot list the software of %q: %w", name, err)
	}
	facts.Software[name] = software.GetSoftware()
	return nil
}

// aboutMember asks svc-promise and svc-scheduler about one instance; what they do not answer is noted once.
func aboutMember(ctx context.Context, s Services, facts *why.Facts, i *masterv1.Instance) {
	promises, err := s.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: i.GetAllocationId()})
	facts.Promises[i.GetAllocationId()] = promises.GetPromises()
	noteSilent(facts, err, "svc-promise at "+s.PromiseAddress, "the promises")
	entry, err := s.Agenda.GetAgenda(ctx, &schedulerv1.GetAgendaRequest{Computer: i.GetComputer(), Partition: i.GetPartition()})
	facts.Agenda[i.GetAllocationId()] = entry.GetEntry()
	noteSilent(facts, err, "svc-scheduler at "+s.SchedulerAddress, "the next runs")
}

func noteSilent(facts *why.Facts, err error, who, what string) {
	if err == nil || rpc.IsNotFound(err) {
		return
	}
	text := what + ": " + who + " did not answer"
	if !rpc.IsUnavailable(err) && !errors.Is(err, context.DeadlineExceeded) {
		text = what + ": " + who + ": " + human.OneLine(err.Error(), 200)
	}
	if !slices.Contains(facts.Silent, text) {
		facts.Silent = append(facts.Silent, text)
	}
}
