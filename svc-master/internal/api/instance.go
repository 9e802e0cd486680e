package api

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// errGone says that the tree under a title is gone and its title must be freed before it names another.
var errGone = errors.New("the tree of this title is gone")

// errRenamed says that the tree under a title has another one: a rename is under way, or was cut short.
var errRenamed = errors.New("the tree of this title has another one")

// RequestInstance wants an instance. The answer tells the instance as it is after a place was looked for.
func (a *API) RequestInstance(ctx context.Context, req *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	if err := checkSize("request", req.GetTitle(), "parameters", req.GetParameters()); err != nil {
		return nil, err
	}
	for range 3 { // a tree that is gone is buried, one that was renamed gives up the title, and it names a new one
		res, err := a.request(ctx, req)
		if !errors.Is(err, errGone) && !errors.Is(err, errRenamed) {
			return res, coded(err)
		}
	}
	return nil, coded(&redisstore.UnavailableError{What: fmt.Sprintf("cannot request %q: the tree of that title is being deleted or renamed", req.GetTitle())})
}

func (a *API) request(ctx context.Context, req *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
	event := fleet.Request{
		RequestID: req.GetRequestId(), RequesterID: req.GetRequesterId(),
		RequesterAllocationID: req.GetRequesterAllocationId(), RequesterToken: req.GetRequesterToken(), RequesterLocalID: req.GetRequesterLocalAllocationId(),
		Sla: redisstore.SlaOf(req.GetSla()), Title: req.GetTitle(), Release: req.GetSoftwareRelease(), Type: req.GetSoftwareType(),
		Parameters: req.GetParameters(), State: fleet.State(req.GetState()), Computer: req.GetComputer(), Shared: req.GetShared(),
		Retention: req.GetRetentionDelay().AsDuration(), Trace: trail.TraceOf(ctx),
	}
	root := req.GetRequesterId() == "" && event.State != fleet.Destroyed
	if root {
		// Judged before its title is reserved: what can never be requested leaves no trace.
		if _, _, err := fleet.New("t", account, 0).Request(event, time.Now()); err != nil {
			return nil, err
		}
	}
	if err := a.checkParameters(ctx, event); err != nil {
		return nil, err
	}
	if req.GetDryRun() {
		return a.rehearseRequest(ctx, req, event)
	}
	treeID, err := a.treeOfRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	// What is kept under the request id is which instance it was: the answer tells how that is now.
	kept := &masterv1.GetInstanceRequest{}
	var answer fleet.RequestAnswer
	var last *masterv1.Instance
	change := redisstore.Change{
		Tree: treeID, Key: key("q", req.GetRequestId()),
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			if t.Gone() {
				return nil, fleet.Effects{}, errGone
			}
			if event.RequesterID == "" && t.RootID != "" && t.Title != event.Title {
				return nil, fleet.Effects{}, errRenamed
			}
			var effects fleet.Effects
			var err error
			if answer, effects, err = t.Request(event, now); err != nil {
				return nil, effects, err
			}
			kept.InstanceId = answer.InstanceID
			if i := t.Instances[answer.InstanceID]; i != nil {
				last = a.instance(t, i, now)
			} else { // it was destroyed, and held no partition
				last = &masterv1.Instance{
					InstanceId: answer.InstanceID, TreeId: t.ID, RequesterId: event.RequesterID, Title: event.Title, SoftwareRelease: event.Release,
					SoftwareType: event.Type, State: typev1.RequestedState_REQUESTED_STATE_DESTROYED, Shared: event.Shared,
				}
			}
			return kept, effects, nil
		},
		Recall: func(b []byte) error {
			answer = fleet.RequestAnswer{}
			return proto.Unmarshal(b, kept)
		},
	}
	if root {
		change.Account = account
	}
	if event.RequesterAllocationID != "" || event.RequesterLocalID != "" {
		change.By = runOf(ctx, event.RequesterID)
	} else {
		change.By = caller(ctx, "")
	}
	done, err := a.Store.Update(ctx, change)
	if errors.Is(err, errGone) {
		if buried := a.Placer.Bury(ctx, treeID); buried != nil {
			return nil, buried
		}
	}
	if errors.Is(err, errRenamed) {
		if freed := a.Store.FreeStaleTitle(ctx, account, req.GetTitle(), treeID); freed != nil {
			return nil, freed
		}
	}
	if err != nil {
		return nil, err
	}
	a.settle(ctx, treeID, done.Effects)
	if answer.Changed && !answer.Created && last.GetAllocationId() != "" {
		a.renewOptions(ctx, last)
	}
	return a.requested(ctx, kept.GetInstanceId(), last)
}

// treeOfRequest finds the tree of the requester, or reserves the id of a root's.
func (a *API) treeOfRequest(ctx context.Context, req *masterv1.RequestInstanceRequest) (string, error) {
	if req.GetRequesterId() != "" {
		return fleet.TreeID(req.GetRequesterId()), nil
	}
	if req.GetState() == typev1.RequestedState_REQUESTED_STATE_DESTROYED {
		return a.Store.Root(ctx, account, req.GetTitle())
	}
	return a.Store.ReserveRoot(ctx, account, req.GetTitle(), newTreeID(a.Random))
}

// requested reads the answer; last is what was known of an instance that is gone by now.
func (a *API) requested(ctx context.Context, instanceID string, last *masterv1.Instance) (*masterv1.RequestInstanceResponse, error) {
	res := &masterv1.RequestInstanceResponse{Instance: last, Reason: "destroyed"}
	err := a.Store.View(ctx, fleet.TreeID(instanceID), func(t *fleet.Tree, now time.Time) error {
		if i := t.Instances[instanceID]; i != nil {
			res.Instance = a.instance(t, i, now)
			res.Ready, res.Reason = t.Ready(i)
		}
		return nil
	})
	if isNotFound(err) {
		err = nil
	}
	if err == nil && res.Instance == nil {
		err = &redisstore.NotFoundError{Kind: "instance", Name: instanceID}
	}
	return res, err
}

// renewOptions tells a tree what its new release says about instances, when the computer has it already.
func (a *API) renewOptions(ctx context.Context, i *masterv1.Instance) {
	c, err := a.Store.Computer(ctx, i.GetComputer())
	if err == nil && c.Software[i.GetSoftwareRelease()].GetReportedAt() != nil {
		err = a.tellRelease(ctx, i.GetTreeId(), c, i.GetSoftwareRelease(), false)
	}
	if err != nil {
		// The node reports the release again when it opens its streams.
		a.Log.WarnContext(ctx, "cannot tell a tree what its release says", "instance", i.GetInstanceId(), "error", err)
	}
}

// GetInstance reads one.
func (a *API) GetInstance(ctx context.Context, req *masterv1.GetInstanceRequest) (*masterv1.GetInstanceResponse, error) {
	res := &masterv1.GetInstanceResponse{}
	err := a.Store.View(ctx, fleet.TreeID(req.GetInstanceId()), func(t *fleet.Tree, now time.Time) error {
		i := t.Instances[req.GetInstanceId()]
		if i == nil {
			return &redisstore.NotFoundError{Kind: "instance", Name: req.GetInstanceId()}
		}
		res.Instance = a.instance(t, i, now)
		return nil
	})
	if err != nil {
		return nil, coded(renamed(err, "instance", req.GetInstanceId()))
	}
	return res, nil
}

// ListInstances reads those of a tree, of a computer or of a host.
func (a *API) ListInstances(ctx context.Context, req *masterv1.ListInstancesRequest) (*masterv1.ListInstancesResponse, error) {
	if req.GetHostId() != "" {
		return a.listHosted(ctx, req.GetHostId())
	}
	res := &masterv1.ListInstancesResponse{}
	trees := []string{fleet.TreeID(req.GetTreeId())}
	if computer := req.GetComputer(); computer != "" {
		c, err := a.Store.Computer(ctx, computer)
		if err != nil {
			return nil, coded(err)
		}
		trees = c.Trees()
	}
	for _, treeID := range trees {
		err := a.Store.View(ctx, treeID, func(t *fleet.Tree, now time.Time) error {
			for _, i := range t.Sorted() {
				if p := t.Partitions[i.ID]; req.GetComputer() == "" || p != nil && p.Computer == req.GetComputer() {
					res.Instances = append(res.Instances, a.instance(t, i, now))
				}
			}
			return nil
		})
		if err != nil && (req.GetComputer() == "" || !isNotFound(err)) {
			return nil, coded(err)
		}
	}
	shorten(res.GetInstances())
	return res, nil
}

// listHosted reads the shared instances of a host, each in its own tree.
func (a *API) listHosted(ctx context.Context, hostID string) (*masterv1.ListInstancesResponse, error) {
	var hosted []*fleet.Hosted
	err := a.Store.View(ctx, fleet.TreeID(hostID), func(t *fleet.Tree, _ time.Time) error {
		if t.Instances[hostID] == nil {
			return &redisstore.NotFoundError{Kind: "instance", Name: hostID}
		}
		hosted = t.HostedBy(hostID)
		return nil
	})
	if err != nil {
		return nil, coded(renamed(err, "instance", hostID))
	}
	res := &masterv1.ListInstancesResponse{}
	for _, h := range hosted {
		got, err := a.GetInstance(ctx, &masterv1.GetInstanceRequest{InstanceId: h.SharedID})
		switch {
		case err == nil:
			res.Instances = append(res.Instances, got.GetInstance())
		case !rpc.IsNotFound(err): // one that is gone is left out: its host has not heard of it yet
			return nil, err
		}
	}
	shorten(res.GetInstances())
	return res, nil
}

// SetInstanceState starts, stops or destroys.
func (a *API) SetInstanceState(ctx context.Context, req *masterv1.SetInstanceStateRequest) (*masterv1.SetInstanceStateResponse, error) {
	treeID := fleet.TreeID(req.GetInstanceId())
	event := fleet.SetState{RequestID: req.GetRequestId(), InstanceID: req.GetInstanceId(), State: fleet.State(req.GetState()), Trace: trail.TraceOf(ctx)}
	res := &masterv1.SetInstanceStateResponse{}
	done, err := a.Store.Update(ctx, redisstore.Change{
		Tree: treeID, Key: key("s", req.GetRequestId()), By: caller(ctx, ""),
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			i := t.Instances[event.InstanceID]
			_, effects, err := t.SetState(event, now)
			if err != nil {
				return nil, effects, err
			}
			res.Instance = a.instance(t, i, now) // which may be gone from the tree by now
			return &masterv1.GetInstanceRequest{InstanceId: event.InstanceID}, effects, nil
		},
		Recall: func([]byte) error { res.Instance = nil; return nil },
	})
	if err != nil {
		return nil, coded(renamed(err, "instance", req.GetInstanceId()))
	}
	a.settle(ctx, treeID, done.Effects)
	if res.Instance == nil {
		got, err := a.GetInstance(ctx, &masterv1.GetInstanceRequest{InstanceId: req.GetInstanceId()})
		return &masterv1.SetInstanceStateResponse{Instance: got.GetInstance()}, err
	}
	return res, nil
}

// SetConnectionParameters publishes.
func (a *API) SetConnectionParameters(ctx context.Context, req *masterv1.SetConnectionParametersRequest) (*masterv1.SetConnectionParametersResponse, error) {
	if err := checkSize("publish for", req.GetAllocationId(), "connection_parameters", req.GetConnectionParameters()); err != nil {
		return nil, err
	}
	res := &masterv1.SetConnectionParametersResponse{}
	treeID := fleet.TreeID(req.GetAllocationId())
	done, err := a.Store.Update(ctx, redisstore.Change{Tree: treeID, By: runOf(ctx, ""), Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		answer, effects, err := t.Publish(fleet.Publish{
			AllocationID: req.GetAllocationId(), Token: req.GetToken(), SharedID: req.GetSharedInstanceId(), Parameters: req.GetConnectionParameters(), Trace: trail.TraceOf(ctx),
		}, now)
		res.Changed = answer.Changed
		return nil, effects, err
	}})
	if err != nil {
		return nil, coded(renamed(err, "allocation", req.GetAllocationId()))
	}
	a.settle(ctx, treeID, done.Effects)
	return res, nil
}

// checkSize is the rule that the rule language cannot express: at most 64 KiB of keys and values.
func checkSize(doing, what, field string, parameters map[string]string) error {
	size := 0
	for k, v := range parameters {
		size += len(k) + len(v)
	}
	if size > fleet.MaxParameters {
		return invalid("cannot %s %q: %s: %d bytes of keys and values, more than %d", doing, what, field, size, fleet.MaxParameters)
	}
	return nil
}

// key makes request ids of different methods different; none stays none.
func key(method, requestID string) string {
	if requestID == "" {
		return ""
	}
	return method + ":" + requestID
}

// renamed makes a tree that was not found the thing that the caller named.
func renamed(err error, kind, name string) error {
	if isNotFound(err) {
		return &redisstore.NotFoundError{Kind: kind, Name: name}
	}
	return err
}

// newTreeID is `t` and 12 characters of Crockford's base 32: 60 bits, so that a million trees meet with a chance of 10⁻⁶.
func newTreeID(random io.Reader) string {
	var b [8]byte
	_, _ = io.ReadFull(random, b[:]) // neither the system's nor a simulator's ever fails
	return "t" + base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).EncodeToString(b[:])[:12]
}
