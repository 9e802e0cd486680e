package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/console/word"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
)

const (
	// judgedEvery is how often verdicts and crimes are asked for: they have no stream.
	judgedEvery = 3 * time.Second
	// maxJudged is of how many partitions the verdicts are followed; judgedAtOnce of how many they are asked for at the same time.
	maxJudged    = 200
	judgedAtOnce = 8
	// treesAsked is of how many trees ListAllocations tells at once.
	treesAsked = 100
)

// judged is what is known of one promise or crime.
type judged struct {
	// state is what it is told by: nothing is told while it stays.
	state string
	event event
}

// news compares what is judged now with what was; the first time nothing is news. What is not there any more is told by gone, if it says something.
func news(before, now map[string]judged, gone func(event) event) (told []event) {
	if before == nil {
		return nil
	}
	for key, j := range now {
		if before[key].state != j.state {
			told = append(told, j.event)
		}
	}
	for key, j := range before {
		if _, still := now[key]; !still && gone != nil {
			told = append(told, gone(j.event))
		}
	}
	return told
}

// judge asks again and again, and tells what is news; svc-master or svc-promise may be away meanwhile.
func (e *events) judge(ctx context.Context, ask func(context.Context) (map[string]judged, error), gone func(event) event) error {
	tick := time.NewTicker(judgedEvery)
	defer tick.Stop()
	for before := map[string]judged(nil); ; {
		asking, cancel := context.WithTimeout(ctx, callTimeout)
		now, err := ask(asking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case rpc.IsUnavailable(err), rpc.IsDeadlineExceeded(err), rpc.IsNotFound(err): // it comes back, or was destroyed
			if rpc.IsUnavailable(err) {
				e.absent(err)
			}
		case err != nil:
			return err
		default:
			for _, told := range news(before, now, gone) {
				if err := e.tell(ctx, told); err != nil {
					return err
				}
			}
			before = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// crimes are told when they begin and when they are over.
func (e *events) crimes(ctx context.Context) error {
	return e.judge(ctx, e.askCrimes, func(before event) event {
		before.At, before.Text = time.Now(), "over: "+before.Text
		return before
	})
}

// askCrimes are those that are committed now.
func (e *events) askCrimes(ctx context.Context) (map[string]judged, error) {
	var of []string
	if e.treeID != "" {
		of = []string{e.treeID}
	}
	all, err := findCrimes(ctx, e.fleet, of, "")
	if err != nil {
		return nil, err
	}
	now := map[string]judged{}
	add := func(allocation, crime, what, computer, partition, evidence string) {
		tree, _, _ := strings.Cut(allocation, ".")
		now[allocation+" "+crime+" "+what] = judged{"committed", event{
			At: time.Now(), Kind: "crime", TreeID: tree, Computer: computer, Partition: partition,
			Text: fmt.Sprintf("%s/%s: %s %s: %s", computer, partition, crime, what, human.OneLine(evidence, 200)),
		}}
	}
	for _, c := range all.runs {
		add(c.GetAllocationId(), human.Word(c.GetCrime(), "MONITORING_CRIME_"), c.GetTitle(), c.GetComputer(), c.GetPartition(), c.GetEvidence())
	}
	for _, c := range all.promises {
		add(c.GetAllocationId(), human.Word(c.GetCrime(), "CRIME_"), c.GetPromise(), c.GetComputer(), c.GetPartition(), c.GetEvidence())
	}
	return now, nil
}

// verdicts are told when they turn.
func (e *events) verdicts(ctx context.Context) error { return e.judge(ctx, e.askVerdicts, nil) }

// askVerdicts are those of the promises of what was asked for, as far as that is not the whole of a large fleet.
func (e *events) askVerdicts(ctx context.Context) (map[string]judged, error) {
	allocations, err := e.allocations(ctx)
	if err != nil {
		return nil, err
	}
	if len(allocations) > maxJudged {
		allocations = allocations[:maxJudged]
		if !e.bounded {
			e.bounded = true
			fmt.Fprintf(e.errOut, "verdicts of %d partitions only are followed: choose with --tree or --computer\n", maxJudged)
		}
	}
	var mu sync.Mutex // of now and failed
	var asked sync.WaitGroup
	now, failed, room := map[string]judged{}, error(nil), make(chan struct{}, judgedAtOnce)
	for _, a := range allocations {
		room <- struct{}{}
		asked.Go(func() {
			defer func() { <-room }()
			answer, err := e.fleet.Promises.ListPromises(ctx, &promisev1.ListPromisesRequest{AllocationId: a.GetAllocationId()})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("cannot list the promises of %s: %w", a.GetAllocationId(), err)
			}
			for _, p := range answer.GetPromises() {
				now[a.GetAllocationId()+" "+p.GetVerdict().GetPromise()] = verdictOf(a, p)
			}
		})
	}
	asked.Wait()
	return now, failed
}

// verdictOf words the verdict of a promise.
func verdictOf(a *masterv1.Allocation, p *promisev1.PromiseStatus) judged {
	v := p.GetVerdict()
	says := word.Verdict(v)
	text := fmt.Sprintf("%s/%s: promise %s %s", a.GetComputer(), a.GetPartition(), v.GetPromise(), says)
	if v.GetTestFailed() || v.GetAnomaly() {
		text += ": " + human.OneLine(v.GetMessage(), 200)
	}
	return judged{says, event{At: time.Now(), Kind: "verdict", TreeID: a.GetTreeId(), Computer: a.GetComputer(), Partition: a.GetPartition(), InstanceIDs: []string{a.GetInstanceId()}, Text: text}}
}

// allocations are those of what was asked for; of all trees no more than are needed to know that they are too many.
func (e *events) allocations(ctx context.Context) ([]*masterv1.Allocation, error) {
	switch {
	case e.treeID != "":
		return e.listAllocations(ctx, &masterv1.ListAllocationsRequest{TreeIds: []string{e.treeID}})
	case e.computer != "":
		return e.listAllocations(ctx, &masterv1.ListAllocationsRequest{Computers: []string{e.computer}})
	}
	trees, err := e.fleet.AllTrees(ctx)
	if err != nil {
		return nil, err
	}
	var all []*masterv1.Allocation
	for len(trees) > 0 && len(all) <= maxJudged {
		request := &masterv1.ListAllocationsRequest{}
		for _, t := range trees[:min(treesAsked, len(trees))] {
			request.TreeIds = append(request.TreeIds, t.GetTreeId())
		}
		trees = trees[len(request.GetTreeIds()):]
		some, err := e.listAllocations(ctx, request)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (e *events) listAllocations(ctx context.Context, r *masterv1.ListAllocationsRequest) ([]*masterv1.Allocation, error) {
	answer, err := e.fleet.Feed.ListAllocations(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("cannot list the allocations: %w", err)
	}
	return answer.GetAllocations(), nil
}
