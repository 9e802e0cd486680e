package api

import (
	"context"
	"errors"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/parameter"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// checkParameters refuses a request whose parameters its release does not accept, before anything is written. What is requested already and does not
// change is not refused: that its parameters are wrong is told by its instance since the schema is known.
func (a *API) checkParameters(ctx context.Context, event fleet.Request) error {
	if event.State == fleet.Destroyed {
		return nil
	}
	described, err := a.Parameters.Of(ctx, event.Release)
	if err != nil {
		return err
	}
	kind := event.Type
	if kind == "" {
		kind = fleet.DefaultType
	}
	problem := described.Check(kind, event.Shared, event.Parameters)
	if problem == "" {
		return nil
	}
	treeID := fleet.TreeID(event.RequesterID)
	if treeID == "" {
		if treeID, err = a.Store.Root(ctx, account, event.Title); err != nil && !isNotFound(err) {
			return err
		}
	}
	has := false
	if treeID != "" {
		err = a.Store.View(ctx, treeID, func(t *fleet.Tree, _ time.Time) error {
			has = t.Has(event)
			return nil
		})
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	if has {
		return nil
	}
	return invalid("cannot request %q: parameters: %s; see vow software schema %s", event.Title, problem, telemetry.Redacted(event.Release))
}

// learn notes the schema of a release that a node reports as available; false = its files are needed.
func (a *API) learn(ctx context.Context, req *masterv1.ReportSoftwareStateRequest) (bool, error) {
	c, err := a.Store.Computer(ctx, req.GetComputer())
	if err != nil || c.Software[req.GetSoftwareRelease()] == nil {
		return true, coded(err) // refused anyway
	}
	known, err := a.Parameters.Learn(ctx, req.GetSoftwareRelease(), req.GetSchemaDigest(), req.GetSchema())
	if mistaken := (*parameter.Mistaken)(nil); errors.As(err, &mistaken) {
		return false, invalid("cannot report software release %q: schema: %s", telemetry.Redacted(req.GetSoftwareRelease()), mistaken.Message)
	}
	return known, coded(err)
}

// problems tells what is wrong with the parameters of a tree's instances by the schema of their release; nil = nothing is known of it.
func problems(t *fleet.Tree, described *parameter.Release, url string) map[string]string {
	if described == nil {
		return nil
	}
	all := map[string]string{}
	for id := range t.Partitions {
		if i := t.Instances[id]; i.Release == url && i.State != fleet.Destroyed {
			if problem := described.Check(i.Type, false, i.Parameters); problem != "" {
				all[id] = problem
			}
		}
	}
	return all
}

// GetReleaseSchema reads what a release ships to describe the parameters of its instances.
func (a *API) GetReleaseSchema(ctx context.Context, req *masterv1.GetReleaseSchemaRequest) (*masterv1.GetReleaseSchemaResponse, error) {
	r, err := a.Parameters.Of(ctx, req.GetSoftwareRelease())
	if err == nil && r == nil {
		err = &redisstore.NotFoundError{Kind: "schema of software release", Name: telemetry.Redacted(req.GetSoftwareRelease())}
	}
	if err != nil {
		return nil, coded(err)
	}
	return &masterv1.GetReleaseSchemaResponse{Digest: r.Digest, Schema: r.Files, Types: r.Types(), Problem: r.Problem()}, nil
}
