package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// thingHelp says what a THING of a command on partitions may be.
const thingHelp = "THING is a tree (title or id), TREE/TITLE, the id of an instance or allocation, a computer, or COMPUTER/PARTITION; a tree comes before a computer of the\n" +
	"same name. A node that is not on this machine is asked through svc-master, over the link that it holds open."

// spot is a partition somewhere, or, without a partition, a whole computer.
type spot struct {
	Computer  string `json:"computer"`
	Partition string `json:"partition,omitempty"`
	Title     string `json:"title,omitempty"`
}

func (s spot) String() string { return strings.TrimSuffix(s.Computer+"/"+s.Partition, "/") }

// spots finds where a thing is.
func spots(ctx context.Context, f *client.Fleet, name string) ([]spot, error) {
	of, inside, named := strings.Cut(name, "/")
	tree, err := getTree(ctx, f, of)
	if err == nil {
		return spotsOfTree(tree, name, func(i *masterv1.Instance) bool {
			if named {
				return i.GetTitle() == inside
			}
			part := treeID.FindStringSubmatch(name) // the whole tree, or the instance whose id this is
			return part == nil || part[1] == "" || name == i.GetInstanceId() || name == i.GetAllocationId()
		})
	}
	if !rpc.IsNotFound(err) || treeID.MatchString(name) {
		return nil, err
	}
	response, err := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: of})
	if rpc.IsNotFound(err) {
		return nil, fmt.Errorf("cannot find %q: there is no tree and no computer of that name; `vow status` lists both", of)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot get computer %q: %w", of, err)
	}
	if !named {
		return []spot{{Computer: of}}, nil
	}
	for _, p := range response.GetComputer().GetPartitions() {
		if p.GetName() == inside {
			return []spot{{Computer: of, Partition: inside}}, nil
		}
	}
	return nil, fmt.Errorf("cannot find partition %q: `vow computer %s` lists them", name, of)
}

func spotsOfTree(tree *masterv1.Tree, name string, meant func(*masterv1.Instance) bool) ([]spot, error) {
	var found []spot
	var titles []string
	nowhere := ""
	for _, i := range tree.GetInstances() {
		titles = append(titles, i.GetTitle())
		switch {
		case !meant(i):
		case i.GetComputer() == "":
			nowhere = fmt.Sprintf("%s is in no partition: %s", i.GetTitle(), i.GetUnallocatedReason())
			if i.GetHostId() != "" {
				nowhere = fmt.Sprintf("%s is in no partition: it is a shared instance, hosted by %s", i.GetTitle(), i.GetHostId())
			}
		default:
			found = append(found, spot{i.GetComputer(), i.GetPartition(), i.GetTitle()})
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case nowhere != "":
		return nil, fmt.Errorf("cannot find a partition of %q: %s", name, nowhere)
	}
	return nil, fmt.Errorf("cannot find instance %q: tree %s has %s", name, tree.GetTitle(), strings.Join(titles, ", "))
}

// oneSpot finds the one partition that is meant.
func oneSpot(ctx context.Context, f *client.Fleet, name string) (spot, error) {
	found, err := spots(ctx, f, name)
	if err != nil {
		return spot{}, err
	}
	if len(found) == 1 && found[0].Partition != "" {
		return found[0], nil
	}
	if len(found) == 1 {
		return spot{}, usageError{fmt.Errorf("cannot tell which partition of computer %q is meant: want %s/PARTITION; `vow computer %s` lists them", name, name, name)}
	}
	var all []string
	for _, s := range found {
		all = append(all, s.Title)
	}
	return spot{}, usageError{fmt.Errorf("cannot tell which instance of tree %q is meant: want %s/TITLE, with one of %s", name, name, strings.Join(all, ", "))}
}

// away makes of the error of a call to a node what a person can act on: whether the node or svc-master is away, and since when.
func away(ctx context.Context, f *client.Fleet, computer, what string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if computer == "" || !rpc.IsUnavailable(err) {
		return fmt.Errorf("%s: %w", what, err)
	}
	response, known := f.Computers.GetComputer(context.WithoutCancel(ctx), &masterv1.GetComputerRequest{Computer: computer})
	if known != nil {
		return fmt.Errorf("%s: %w", what, err) // it is svc-master that is away
	}
	c := response.GetComputer()
	return fmt.Errorf("%s: %s\n     computer %s is %s, last contact %s; if it lives it links again within seconds: try again\n"+
		"     `vow why %s` says what is known of it; on the machine itself, `vow node status` does without svc-master",
		what, rpc.Message(err), computer, colour(c.GetColour()), age(c.GetLastContact(), time.Now()), computer)
}

// processesAt lists the processes of a spot.
func processesAt(ctx context.Context, f *client.Fleet, at spot) ([]*nodev1.Process, error) {
	response, err := f.NodeOf(at.Computer).ListProcesses(ctx, &nodev1.ListProcessesRequest{Partition: at.Partition})
	if err != nil {
		return nil, away(ctx, f, at.Computer, fmt.Sprintf("cannot list the processes of %s", at), err)
	}
	return response.GetProcesses(), nil
}
