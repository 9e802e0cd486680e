package api

import (
	"context"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// maxCrimes bounds an answer: beyond it nobody reads them one by one. The releases are counted over these.
const maxCrimes = 10_000

// ListRunCrimes reads the crimes of all trees, or of one.
func (a *API) ListRunCrimes(ctx context.Context, req *masterv1.ListRunCrimesRequest) (*masterv1.ListRunCrimesResponse, error) {
	ids := []string{fleet.TreeID(req.GetTreeId())}
	if req.GetTreeId() == "" {
		var err error
		if ids, err = a.Store.Trees(ctx); err != nil {
			return nil, coded(err)
		}
	}
	response := &masterv1.ListRunCrimesResponse{}
	var crimes []fleet.Crime
	for _, id := range ids {
		err := a.Store.View(ctx, id, func(t *fleet.Tree, now time.Time) error {
			for _, c := range t.Crimes(now) {
				if req.GetSoftwareRelease() != "" && c.Instance.Release != req.GetSoftwareRelease() || len(crimes) >= maxCrimes {
					continue
				}
				response.Crimes = append(response.Crimes, runCrime(t.ID, &c))
				// The instance and the partition are the tree's, which goes on living: only what does not change is kept.
				c.Instance, c.Partition = &fleet.Instance{Release: c.Instance.Release}, nil
				crimes = append(crimes, c)
			}
			return nil
		})
		if err != nil && (req.GetTreeId() != "" || !isNotFound(err)) {
			return nil, coded(renamed(err, "tree", req.GetTreeId()))
		}
	}
	for _, r := range fleet.ReleaseCrimes(crimes) {
		response.Releases = append(response.Releases, releaseCrime(&r))
	}
	return response, nil
}
