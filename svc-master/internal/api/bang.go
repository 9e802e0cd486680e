package api

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// Bang takes a bang: of a partition, of a tree, or of every tree on a computer.
func (a *API) Bang(ctx context.Context, req *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	event := fleet.Bang{
		RequestID: req.GetRequestId(), AllocationID: req.GetAllocationId(), Origin: fleet.Origin(req.GetOrigin()), Source: req.GetSource(), Message: req.GetMessage(),
		LastSuccessRunID: req.GetLastSuccessRunId(), RunInProgress: req.GetRunInProgress(), NoticedAt: wellknown.Time(req.GetNoticedAt()),
		NotAllowed: req.GetNotAllowed(), ExitSequence: req.GetExitSequence(), Up: seconds(req.GetUpSeconds()),
	}
	if err := checkTarget(req); err != nil {
		return nil, err
	}
	var trees []string
	switch target := req.GetTarget().(type) {
	case *masterv1.BangRequest_AllocationId:
		trees = []string{fleet.TreeID(target.AllocationId)}
	case *masterv1.BangRequest_TreeId:
		trees = []string{fleet.TreeID(target.TreeId)}
	case *masterv1.BangRequest_Computer:
		c, err := a.Store.Computer(ctx, target.Computer)
		if err != nil {
			return nil, coded(err)
		}
		trees = c.Trees()
	}
	res := &masterv1.BangResponse{}
	var refused error
	for _, treeID := range trees {
		decide := a.bang
		if req.GetDryRun() {
			decide = a.rehearseBang
		}
		result, err := decide(ctx, treeID, event, caller(ctx, event.Source))
		switch {
		case req.GetComputer() != "" && (isNotFound(err) || fleet.KindOf(err) == fleet.FailedPrecondition):
			continue // it left the computer meanwhile
		case req.GetComputer() != "" && fleet.KindOf(err) == fleet.Exhausted && result != nil:
			refused = err // told in its result: the other trees are banged all the same
		case err != nil:
			return nil, coded(renamed(err, "tree or allocation", targetOf(req)))
		}
		res.Results = append(res.Results, result)
	}
	if refused != nil && len(trees) == 1 {
		return nil, coded(refused)
	}
	return res, nil
}

// checkTarget checks what the rule language cannot: fields that belong together.
func checkTarget(req *masterv1.BangRequest) error {
	sensed := req.GetOrigin() == typev1.BangOrigin_BANG_ORIGIN_PROMISE || req.GetOrigin() == typev1.BangOrigin_BANG_ORIGIN_PROCESS
	switch {
	case sensed && req.GetAllocationId() == "":
		return invalid("cannot bang %q: allocation_id: a promise or a process bangs for an allocation", targetOf(req))
	case sensed && req.GetDryRun():
		return invalid("cannot rehearse a bang of %q: dry_run: for manual and computer bangs only", targetOf(req))
	case !sensed && req.GetRequestId() == "" && !req.GetDryRun():
		return invalid("cannot bang %q: request_id: required for manual and computer bangs", targetOf(req))
	}
	return nil
}

func targetOf(req *masterv1.BangRequest) string {
	return req.GetAllocationId() + req.GetTreeId() + req.GetComputer()
}

// bang decides and commits a bang of one tree. A refused one is recorded, and answered with its result and an error.
func (a *API) bang(ctx context.Context, treeID string, event fleet.Bang, by redisstore.Actor) (*masterv1.BangResult, error) {
	spanContext, span := a.Trail.StartBang(ctx, event.Origin)
	var answer fleet.BangAnswer
	kept := &masterv1.BangResult{}
	by.TraceID = traceID(trail.TraceOf(spanContext))
	change := redisstore.Change{
		Tree: treeID, By: by,
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			traced := event
			traced.Trace = trail.BangTrace(spanContext, t.NextBangID())
			decided, effects, err := t.Bang(traced, now)
			answer = decided
			return bangResult(decided), effects, err
		},
		Recall: func(b []byte) error {
			if err := proto.Unmarshal(b, kept); err != nil {
				return err
			}
			answer = fleet.BangAnswer{
				BangID: kept.GetBangId(), Outcome: fleet.Outcome(kept.GetOutcome()), Reason: kept.GetReason(), ConvergenceID: kept.GetConvergenceId(),
				Generation: redisstore.GenerationOf(kept.GetGeneration()),
			}
			return nil
		},
	}
	if event.Origin == fleet.OriginManual || event.Origin == fleet.OriginComputer {
		change.Key = key("b", event.RequestID)
	}
	done, err := a.Store.Update(spanContext, change)
	if err != nil {
		// A caller that went away must not look at what is still being decided.
		a.Trail.EndBang(spanContext, span, trail.Banged{Event: event, TreeID: treeID}, err)
		return nil, err
	}
	a.Trail.EndBang(telemetry.WithBang(spanContext, answer.BangID), span, trail.Banged{
		Event: event, Answer: answer, TreeID: treeID, Position: done.Position, Repeated: done.Repeated || done.None(),
	}, nil)
	a.settle(spanContext, treeID, done.Effects)
	result := kept
	if !done.Repeated {
		result = bangResult(answer)
	}
	return result, answer.Err()
}

// ListBangs reads the newest bangs of a tree.
func (a *API) ListBangs(ctx context.Context, req *masterv1.ListBangsRequest) (*masterv1.ListBangsResponse, error) {
	treeID := fleet.TreeID(req.GetTreeId())
	if err := a.Store.View(ctx, treeID, func(*fleet.Tree, time.Time) error { return nil }); err != nil {
		return nil, coded(renamed(err, "tree", req.GetTreeId()))
	}
	bangs, err := a.Store.Bangs(ctx, treeID, pageSize(req.GetPageSize(), 100))
	if err != nil {
		return nil, coded(err)
	}
	res := &masterv1.ListBangsResponse{}
	for _, b := range bangs {
		res.Bangs = append(res.Bangs, bang(b))
	}
	return res, nil
}

// bangID is `<tree>.b<n>`.
func bangID(treeID string, number uint64) string { return fmt.Sprintf("%s.b%d", treeID, number) }
