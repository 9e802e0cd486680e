package api

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/link"
	"github.com/vow-os/vow/svc-master/internal/parameter"
	"github.com/vow-os/vow/svc-master/internal/placement"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
	"github.com/vow-os/vow/svc-master/internal/trail"
)

// account owns every tree until identity exists.
const account = "default"

// Settings is what app passes.
type Settings struct {
	Store  *redisstore.Store
	Placer *placement.Placer
	// Parameters has the schemas of releases.
	Parameters *parameter.Checker
	Trail      *trail.Trail
	Log        *slog.Logger
	// Started is when the control plane started: for 60 s after it a Red due to age alone is unconfirmed.
	Started time.Time
	// ReconnectWindow is what nodes are told to spread their reconnection over; a large fleet is told a longer one (window.go).
	ReconnectWindow time.Duration
	// ContactEvery is how often a Link tells when bytes were last read on its connection.
	ContactEvery time.Duration
	// Recheck is how often a watch looks again although nothing hinted at a change.
	Recheck time.Duration
	// Random is where the ids of trees come from.
	Random io.Reader
	// Dial is how other replicas of svc-master are reached; nil = the network.
	Dial rpc.Dial
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
}

// API implements all services of vow.master.v1.
type API struct {
	Settings
	watchers *watchers
	links    *link.Table
	replicas *replicas
	callers  *callers
}

// New makes the API; Keep must run while it serves.
func New(s Settings) *API {
	return &API{
		Settings: s, watchers: newWatchers(), links: link.NewTable(),
		replicas: &replicas{id: rand.Text(), announce: s.Store.Announce, dial: s.Dial, telemetry: s.Telemetry, log: s.Log, known: map[string]*replica{}},
		callers:  &callers{limit: s.Trail.Limit, calls: map[string]int{}},
	}
}

// Register registers the services.
func (a *API) Register(s *rpc.Server) {
	o := s.HandlerOptions()
	s.Handle(masterv1connect.NewAuditServiceHandler(a, o...))
	s.Handle(masterv1connect.NewBangServiceHandler(a, o...))
	s.Handle(masterv1connect.NewComputerServiceHandler(a, o...))
	s.Handle(masterv1connect.NewConvergenceServiceHandler(a, o...))
	s.Handle(masterv1connect.NewDesiredServiceHandler(a, o...))
	s.Handle(masterv1connect.NewFeedServiceHandler(a, o...))
	s.Handle(masterv1connect.NewInstanceServiceHandler(a, o...))
	s.Handle(masterv1connect.NewLinkServiceHandler(a, o...))
	s.Handle(masterv1connect.NewRunServiceHandler(a, o...))
	s.Handle(masterv1connect.NewSoftwareServiceHandler(a, o...))
	s.Handle(masterv1connect.NewTreeServiceHandler(a, o...))
	s.Handle(masterv1connect.NewUsageServiceHandler(a, o...))
}

// settle carries out what a committed change asks for beyond its tree. It is all done again by reconcilers when it fails
// here, so that the caller's answer does not depend on it.
func (a *API) settle(ctx context.Context, treeID string, e fleet.Effects) {
	if e.Closed != nil {
		a.Trail.Closed(e.Closed)
	}
	if err := a.Placer.Settle(ctx, e); err != nil {
		a.Log.WarnContext(ctx, "cannot settle partitions yet", "tree", treeID, "error", err)
	}
	if e.Gone {
		if err := a.Placer.Bury(ctx, treeID); err != nil {
			a.Log.WarnContext(ctx, "cannot delete a tree of which nothing is left", "tree", treeID, "error", err)
		}
	}
}

// contact notes a call that names a registered computer.
func (a *API) contact(computer string) { a.Store.Contacted(computer, time.Now()) }
