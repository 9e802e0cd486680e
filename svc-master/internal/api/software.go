package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/placement"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// SupplySoftware asks a computer to have a release, or to remove it.
func (a *API) SupplySoftware(ctx context.Context, req *masterv1.SupplySoftwareRequest) (*masterv1.SupplySoftwareResponse, error) {
	url, state := req.GetSoftwareRelease(), req.GetState()
	if state == masterv1.SoftwareState_SOFTWARE_STATE_UNSPECIFIED {
		state = masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
	}
	if state == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
		if err := a.unused(ctx, req.GetComputer(), url); err != nil {
			return nil, coded(err)
		}
	}
	by := caller(ctx, "")
	c, err := a.Store.ChangeComputer(ctx, req.GetComputer(), func(c *redisstore.Computer) error {
		if !c.Registered() {
			return &redisstore.NotFoundError{Kind: "computer", Name: req.GetComputer()}
		}
		if c.Software[url] == nil {
			c.Software[url] = &storev1.SoftwareRecord{}
		}
		s := c.Software[url]
		failed := s.Reported == masterv1.SoftwareState_SOFTWARE_STATE_ERROR
		if s.Requested != state || failed {
			s.Supply++
		}
		if failed { // nothing is heard yet of the attempt that is asked for
			s.Reported, s.Progress, s.RetryAt, s.ReportedAt = masterv1.SoftwareState_SOFTWARE_STATE_UNSPECIFIED, nil, nil, timestamppb.Now()
		}
		s.Requested = state
		kind := masterv1.AuditKind_AUDIT_KIND_SOFTWARE_SUPPLIED
		if state == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
			kind = masterv1.AuditKind_AUDIT_KIND_SOFTWARE_REMOVED
		}
		c.Audit(by, &masterv1.AuditEntry{Kind: kind, SoftwareRelease: telemetry.Redacted(url)})
		return nil
	})
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.SupplySoftwareResponse{Software: software(c, url)}, nil
}

// unused refuses the removal of a release that instances use.
func (a *API) unused(ctx context.Context, computer, url string) error {
	c, err := a.Store.Computer(ctx, computer)
	if err != nil {
		return err
	}
	for _, treeID := range c.Trees() {
		err := a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			for id, p := range t.Partitions {
				if i := t.Instances[id]; p.Computer == computer && i.Release == url {
					return &redisstore.StateError{Message: fmt.Sprintf("cannot remove software release %q from %q: instance %q (%s) uses it", telemetry.Redacted(url), computer, i.Title, id)}
				}
			}
			return nil
		})
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	return nil
}

// ReportSoftwareState takes a node's word. The trees hear of a release that became available under a key that names the
// occasion, so that a report that is repeated after a crash wakes those that did not hear yet, and no others.
func (a *API) ReportSoftwareState(ctx context.Context, req *masterv1.ReportSoftwareStateRequest) (*masterv1.ReportSoftwareStateResponse, error) {
	url := req.GetSoftwareRelease()
	available := req.GetState() == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
	if available && req.GetSchemaDigest() != "" {
		if known, err := a.learn(ctx, req); err != nil || !known {
			return &masterv1.ReportSoftwareStateResponse{SchemaWanted: err == nil}, err
		}
	}
	c, err := a.Store.ChangeComputer(ctx, req.GetComputer(), func(c *redisstore.Computer) error {
		if !c.Registered() {
			return &redisstore.NotFoundError{Kind: "computer", Name: req.GetComputer()}
		}
		s := c.Software[url]
		if s == nil {
			return &redisstore.NotFoundError{Kind: "software release", Name: telemetry.Redacted(url)}
		}
		if s.Requested == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED && req.GetState() == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
			delete(c.Software, url)
			return nil
		}
		now := timestamppb.Now()
		s.Error, s.Progress = req.GetError(), req.GetProgress()
		if req.GetRetryIn() == nil {
			s.RetryAt = nil
		} else if s.RetryAt == nil || s.Reported != req.GetState() { // the first of what may be a repeated report
			s.RetryAt = timestamppb.New(now.AsTime().Add(req.GetRetryIn().AsDuration()))
		}
		told := available && req.GetSchemaDigest() != "" && s.SchemaDigest != req.GetSchemaDigest()
		if told {
			s.SchemaDigest = req.GetSchemaDigest()
		}
		if s.Reported == req.GetState() && !told && (!available || proto.Equal(s.Options, req.GetOptions())) {
			c.Unannounced() // progress is nothing that the node, the only watcher, does not know
			return nil
		}
		if available {
			s.Options = req.GetOptions()
			if s.Reported != req.GetState() {
				s.Occasions++
			}
		}
		if s.Reported != req.GetState() || !told {
			s.ReportedAt = now
		}
		s.Reported = req.GetState()
		return nil
	})
	if err != nil {
		return nil, coded(err)
	}
	a.contact(c.Name)
	if available {
		for _, treeID := range c.Trees() {
			if err := a.tellRelease(ctx, treeID, c, url, true); err != nil {
				return nil, coded(err)
			}
		}
	}
	return &masterv1.ReportSoftwareStateResponse{}, nil
}

// tellRelease tells a tree what a release on a computer says about its instances, and that it became available.
func (a *API) tellRelease(ctx context.Context, treeID string, c *redisstore.Computer, url string, available bool) error {
	s := c.Software[url]
	described, err := a.Parameters.Of(ctx, url)
	if err != nil {
		return err
	}
	change := redisstore.Change{
		Tree: treeID,
		Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, effects, err := t.ReleaseReported(fleet.ReleaseReported{
				Computer: c.Name, Release: url, Available: available, Options: placement.Options(s.GetOptions()),
				Problems: problems(t, described, url), Trace: trail.TraceOf(ctx),
			}, now)
			return &masterv1.ReportSoftwareStateResponse{}, effects, err
		},
		Recall: func([]byte) error { return nil },
	}
	if available {
		change.Key = fmt.Sprintf("r:%s:%d:%d:%s%s", c.Name, s.GetOccasions(), s.GetReportedAt().AsTime().UnixMicro(), url, s.GetSchemaDigest())
	}
	done, err := a.Store.Update(ctx, change)
	if isNotFound(err) {
		return nil
	}
	if err == nil {
		a.settle(ctx, treeID, done.Effects)
	}
	return err
}

// ListSoftware reads what is supplied.
func (a *API) ListSoftware(ctx context.Context, req *masterv1.ListSoftwareRequest) (*masterv1.ListSoftwareResponse, error) {
	c, err := a.Store.Computer(ctx, req.GetComputer())
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.ListSoftwareResponse{Software: softwareOf(c)}, nil
}

// suppliedOf is what a node has to know of its supplies: not what it said itself, which would come back to it every second.
func suppliedOf(c *redisstore.Computer) []*masterv1.Software {
	all := softwareOf(c)
	for _, s := range all {
		s.Error, s.ReportedAt, s.Options, s.Progress, s.RetryAt = "", nil, nil, nil, nil
	}
	return all
}

func softwareOf(c *redisstore.Computer) []*masterv1.Software {
	var out []*masterv1.Software
	for _, url := range slices.Sorted(maps.Keys(c.Software)) {
		out = append(out, software(c, url))
	}
	return out
}
