package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/internal/recipe"
)

const (
	// firstInstall and lastInstall bound the growing delay of an installation that fails (docs/rules.md, growing delay).
	firstInstall = time.Second
	lastInstall  = time.Hour
	// lastTold bounds the growing delay while svc-master does not take what is reported; the disk is as it should be.
	lastTold        = time.Minute
	softwareTimeout = 5 * time.Second
	// stillUsed is after how long a release that is to be removed, but that a partition uses, is looked at again.
	stillUsed = 10 * time.Second
	// schemaAgain is after how long the schema of a release is told again to a svc-master that does not know it: one that lost it, or one of before schemas.
	schemaAgain = time.Hour

	available = masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
	destroyed = masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED
)

// software brings the releases on disk to what is supplied: one installation at a time, beside the runs.
type software struct {
	s           Settings
	instruments installInstruments
	// used are the releases that a partition of this computer needs, supplied or not.
	used func() []string
	wake chan struct{}

	mu       sync.Mutex // guards what follows; never held while anything is copied or sent
	supplied map[string]*supply
	// collect says that the supplies changed since what is unused was collected.
	collect bool
	// current is the release that is being installed; cancel ends its installation.
	current string
	cancel  context.CancelCauseFunc
}

// supply is one supplied release.
//
//	(supplied) ─▶ wanted ─ install ─▶ installed ─ reported ─▶ settled
//	                 ▲         │ failed: again after the growing delay, or at once when the supply changes
//	                 └─────────┘
type supply struct {
	requested masterv1.SoftwareState
	// reported is what svc-master knows.
	reported masterv1.SoftwareState
	// number is the supply's own: svc-master raises it when something changed.
	number   uint64
	failures int
	err      string
	// untold counts reports in a row that svc-master did not take.
	untold int
	due    time.Time
	// schema says that svc-master knows the release's; until toldUntil it is not told again.
	schema    bool
	toldUntil time.Time
}

// errWithdrawn ends an installation whose release is no longer supplied.
var errWithdrawn = errors.New("it is no longer supplied")

func newSoftware(s Settings, used func() []string) *software {
	return &software{s: s, instruments: newInstallInstruments(s.Telemetry), used: used, wake: make(chan struct{}, 1), supplied: map[string]*supply{}}
}

// supply replaces what is supplied.
func (w *software) supply(all []*masterv1.Software) {
	w.mu.Lock()
	now := map[string]*supply{}
	for _, one := range all {
		u := &supply{requested: one.GetRequested(), reported: one.GetReported(), number: one.GetSupply(), schema: one.GetSchemaDigest() != ""}
		if was := w.supplied[one.GetSoftwareRelease()]; was != nil && was.requested == u.requested && was.number == u.number {
			u.failures, u.err, u.untold, u.due, u.toldUntil = was.failures, was.err, was.untold, was.due, was.toldUntil
		}
		now[one.GetSoftwareRelease()] = u
	}
	w.supplied, w.collect = now, true
	if u := now[w.current]; w.cancel != nil && (u == nil || u.requested == destroyed) {
		w.cancel(errWithdrawn)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Ensure returns the directory of an installed release.
func (w *software) Ensure(releaseURL string) (string, error) {
	if w.s.Releases.Installed(releaseURL) {
		return w.s.Releases.Directory(releaseURL), nil
	}
	shown := telemetry.Redacted(releaseURL)
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.supplied[releaseURL]
	switch {
	case u == nil || u.requested == destroyed:
		return "", fmt.Errorf("%w: software release %s is not supplied to this computer", recipe.ErrNotAvailable, shown)
	case u.err != "":
		return "", fmt.Errorf("cannot use software release %s: %s", shown, u.err)
	}
	return "", fmt.Errorf("%w: software release %s is being installed", recipe.ErrNotAvailable, shown)
}

// run installs, removes and collects until ctx ends.
func (w *software) run(ctx context.Context) error {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		w.collectUnused(ctx)
		next := w.settle(ctx)
		timer.Reset(next)
		select {
		case <-w.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// settle does what is due, and returns how long nothing more is.
func (w *software) settle(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		url, u, next := w.due()
		if url == "" {
			return next
		}
		w.one(ctx, url, u)
	}
	return idle
}

// due is the release that is due, or how long none is. Those that failed least go first: one that never succeeds does not
// keep others waiting.
func (w *software) due() (url string, u supply, next time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next = idle
	for candidate, s := range w.supplied {
		if w.settled(candidate, s) {
			continue
		}
		if pause := time.Until(s.due); pause > 0 {
			next = min(next, pause)
			continue
		}
		if url == "" || s.failures < u.failures || s.failures == u.failures && candidate < url {
			url, u = candidate, *s
		}
	}
	return url, u, next
}

func (w *software) settled(url string, s *supply) bool {
	installed := w.s.Releases.Installed(url)
	if s.requested == destroyed {
		return !installed && s.reported == s.requested
	}
	return installed && s.reported == available && (s.schema || time.Now().Before(s.toldUntil))
}

// one settles one release: what is on disk first, then what svc-master knows of it.
func (w *software) one(ctx context.Context, url string, u supply) {
	if u.requested == destroyed {
		w.remove(ctx, url, u)
		return
	}
	if w.s.Releases.Installed(url) {
		w.told(url, u, w.report(ctx, url, available, false, func(r *masterv1.ReportSoftwareStateRequest) {
			o := w.s.Releases.Options(url)
			r.Options, r.SchemaDigest = optionsOf(o), digestOf(o.Schema)
		}))
		return
	}
	installing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !w.begin(url, cancel) {
		return
	}
	i := w.newInstallation(url, u)
	err := i.run(installing)
	withdrawn := w.end(installing)
	if withdrawn || ctx.Err() != nil {
		return
	}
	if err == nil {
		w.change(url, u, func(s *supply) { s.failures, s.err, s.due = 0, "", time.Time{} })
		return // what svc-master knows is the next thing to settle
	}
	pause := backoff.Delay(u.failures+1, url, firstInstall, lastInstall)
	w.change(url, u, func(s *supply) {
		s.failures, s.err, s.due = u.failures+1, err.Error(), time.Now().Add(pause)
		s.reported = masterv1.SoftwareState_SOFTWARE_STATE_ERROR
	})
	// That svc-master does not hear of one failure changes nothing: it hears of the next attempt.
	_ = w.report(ctx, url, masterv1.SoftwareState_SOFTWARE_STATE_ERROR, false, func(r *masterv1.ReportSoftwareStateRequest) {
		r.Error, r.RetryIn, r.Progress = ends(err.Error(), maxReleaseError), durationpb.New(pause), i.progress()
	})
}

// begin notes which release is being installed, unless it is no longer supplied.
func (w *software) begin(url string, cancel context.CancelCauseFunc) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.supplied[url]; u == nil || u.requested == destroyed {
		return false
	}
	w.current, w.cancel = url, cancel
	return true
}

// end tells whether the installation was ended because its release is no longer supplied.
func (w *software) end(installing context.Context) (withdrawn bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current, w.cancel = "", nil
	return errors.Is(context.Cause(installing), errWithdrawn)
}

// change changes what is known of a supply, unless it is another one by now.
func (w *software) change(url string, was supply, to func(*supply)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.supplied[url]; s != nil && s.requested == was.requested && s.number == was.number {
		to(s)
	}
}

// told notes whether svc-master took a report; what it did not take is sent again.
func (w *software) told(url string, u supply, err error) {
	w.change(url, u, func(s *supply) {
		if err == nil {
			s.reported, s.untold, s.due, s.toldUntil = u.requested, 0, time.Time{}, time.Now().Add(schemaAgain)
			return
		}
		s.untold++
		s.due = time.Now().Add(backoff.Delay(s.untold, url, firstInstall, lastTold))
	})
}

// remove removes a release that no partition uses.
func (w *software) remove(ctx context.Context, url string, u supply) {
	if w.s.Releases.Installed(url) && slices.Contains(w.used(), url) {
		w.s.Telemetry.Log.InfoContext(ctx, "a software release is not removed yet: a partition uses it", "release", telemetry.Redacted(url))
		w.change(url, u, func(s *supply) { s.due = time.Now().Add(stillUsed) })
		return
	}
	if err := w.s.Releases.Remove(ctx, url); err != nil {
		w.s.Telemetry.Log.WarnContext(ctx, "a software release is not removed", "release", telemetry.Redacted(url), "error", err)
		w.change(url, u, func(s *supply) {
			s.failures++
			s.due = time.Now().Add(backoff.Delay(s.failures, url, firstInstall, lastInstall))
		})
		return
	}
	w.told(url, u, w.report(ctx, url, destroyed, false, nil))
}

// collectUnused removes what is neither supplied nor used; installed releases only where the operator asked for that.
func (w *software) collectUnused(ctx context.Context) {
	w.mu.Lock()
	due := w.collect
	var keep []string
	for url := range w.supplied { // those to be removed too: their removal is reported
		keep = append(keep, url)
	}
	w.collect = false
	w.mu.Unlock()
	if !due {
		return
	}
	removed, err := w.s.Releases.Collect(ctx, append(keep, w.used()...), w.s.CollectReleases)
	for _, directory := range removed {
		w.s.Telemetry.Log.InfoContext(ctx, "a software release that no supply names is removed", "directory", directory)
	}
	if err != nil {
		w.s.Telemetry.Log.WarnContext(ctx, "unused software releases are not removed", "error", err)
	}
}
