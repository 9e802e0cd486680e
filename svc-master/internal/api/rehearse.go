package api

import (
	"context"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

const (
	// maxRehearsed bounds the runs and maxElsewhere the computers that a rehearsal tells of.
	maxRehearsed, maxElsewhere = 1000, 100
	// newTree stands for the id that a tree would get.
	newTree = "tnew"
)

// rehearseRequest tells what a request would do.
func (a *API) rehearseRequest(ctx context.Context, req *masterv1.RequestInstanceRequest, event fleet.Request) (*masterv1.RequestInstanceResponse, error) {
	treeID, of := fleet.TreeID(req.GetRequesterId()), ""
	if treeID == "" {
		var err error
		if treeID, err = a.Store.Root(ctx, account, req.GetTitle()); err != nil && (!isNotFound(err) || event.State == fleet.Destroyed) {
			return nil, err
		}
		of = account
	}
	if treeID == "" {
		treeID = newTree
	}
	res := &masterv1.RequestInstanceResponse{}
	return res, a.rehearse(ctx, treeID, of, func(t *fleet.Tree, now time.Time) (fleet.Effects, error) {
		if event.RequesterID == "" && t.RootID != "" && t.Title != event.Title {
			t = fleet.New(newTree, account, 0) // the title is that of a tree before its rename
		}
		answer, effects, err := t.Request(event, now)
		if err != nil {
			return effects, err
		}
		res.Ready, res.Reason = answer.Ready, answer.Reason
		if i := t.Instances[answer.InstanceID]; i != nil {
			res.Instance = a.instance(t, i, now)
		}
		res.Rehearsal = rehearsed(t, &effects)
		return effects, nil
	}, func() *masterv1.Rehearsal { return res.GetRehearsal() })
}

// rehearseBang tells what a bang of one tree would do.
func (a *API) rehearseBang(ctx context.Context, treeID string, event fleet.Bang, _ redisstore.Actor) (*masterv1.BangResult, error) {
	var result *masterv1.BangResult
	err := a.rehearse(ctx, treeID, "", func(t *fleet.Tree, now time.Time) (fleet.Effects, error) {
		answer, effects, err := t.Bang(event, now)
		if err != nil {
			return effects, err
		}
		result = bangResult(answer)
		result.Rehearsal = rehearsed(t, &effects)
		return effects, nil
	}, func() *masterv1.Rehearsal { return result.GetRehearsal() })
	return result, err
}

// rehearse decides on a copy of a tree, and then looks for the places that would be wanted.
func (a *API) rehearse(
	ctx context.Context, treeID, of string, decide func(*fleet.Tree, time.Time) (fleet.Effects, error), told func() *masterv1.Rehearsal,
) error {
	var wanted []*fleet.Instance
	var copied *fleet.Tree
	err := a.Store.Rehearse(ctx, treeID, of, func(t *fleet.Tree, now time.Time) error {
		effects, err := decide(t, now)
		copied = t
		for _, id := range effects.Place {
			if i := t.Instances[id]; i != nil {
				wanted = append(wanted, i)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range wanted {
		foreseen, err := a.Placer.Foresee(ctx, copied, i)
		if err != nil {
			return err
		}
		place := &masterv1.RehearsedPlace{InstanceId: i.ID, Title: i.Title, Computer: foreseen.Computer, Partition: foreseen.Partition, Reason: foreseen.Reason}
		place.ElsewhereMore = uint32(max(len(foreseen.Elsewhere)-maxElsewhere, 0))
		for _, e := range foreseen.Elsewhere[:min(len(foreseen.Elsewhere), maxElsewhere)] {
			place.Elsewhere = append(place.Elsewhere, &masterv1.RehearsedElsewhere{Computer: e.Computer, Why: e.Why})
		}
		told().Places = append(told().Places, place)
		placed(told(), place)
	}
	return nil
}

// placed tells a run where it would be; one that would be nowhere would not run.
func placed(r *masterv1.Rehearsal, place *masterv1.RehearsedPlace) {
	for n, run := range r.GetRuns() {
		if run.GetInstanceId() != place.GetInstanceId() {
			continue
		}
		if place.GetComputer() == "" {
			r.Runs = append(r.Runs[:n], r.Runs[n+1:]...)
			r.RunsTotal--
			return
		}
		run.Computer, run.Partition = place.GetComputer(), place.GetPartition()
	}
}

func rehearsed(t *fleet.Tree, effects *fleet.Effects) *masterv1.Rehearsal {
	runs := t.Planned(effects)
	out := &masterv1.Rehearsal{Entries: redisstore.AuditEntries(t, effects), RunsTotal: uint32(len(runs))}
	for _, run := range runs[:min(len(runs), maxRehearsed)] {
		told := &masterv1.RehearsedRun{
			InstanceId: run.InstanceID, Title: t.Instances[run.InstanceID].Title, Cause: typev1.Cause(run.Cause), Delay: wellknown.Duration(run.Delay), State: wireState(run.State),
		}
		if p := t.Partitions[run.InstanceID]; p != nil {
			told.Computer, told.Partition = p.Computer, p.Name
		}
		out.Runs = append(out.Runs, told)
	}
	return out
}
