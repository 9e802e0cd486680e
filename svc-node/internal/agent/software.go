package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/internal/release"
)

const (
	// firstInstall and lastInstall bound the growing delay of an installation that fails (docs/rules.md, growing delay).
	firstInstall = time.Second
	lastInstall  = time.Hour
	// maxReleaseError is how much of an installation's error is reported, in bytes.
	maxReleaseError = 4096
	softwareTimeout = 5 * time.Second
)

// software brings the releases on disk to what is supplied: one installation at a time, beside the runs.
type software struct {
	s    Settings
	wake chan struct{}

	mu       sync.Mutex // guards what follows; never held while anything is copied or sent
	supplied map[string]*supply
}

// supply is one supplied release.
//
//	(supplied) ─▶ wanted ─ install ─▶ installed ─ reported ─▶ settled
//	                 ▲         │ failed: again after the growing delay
//	                 └─────────┘
type supply struct {
	requested masterv1.SoftwareState
	// reported is what svc-master knows.
	reported masterv1.SoftwareState
	failures int
	err      string
	due      time.Time
}

func newSoftware(s Settings) *software {
	return &software{s: s, wake: make(chan struct{}, 1), supplied: map[string]*supply{}}
}

// supply replaces what is supplied.
func (w *software) supply(all []*masterv1.Software) {
	w.mu.Lock()
	now := map[string]*supply{}
	for _, one := range all {
		u := &supply{requested: one.GetRequested(), reported: one.GetReported()}
		if was := w.supplied[one.GetSoftwareRelease()]; was != nil && was.requested == u.requested {
			u.failures, u.err, u.due = was.failures, was.err, was.due
		}
		now[one.GetSoftwareRelease()] = u
	}
	w.supplied = now
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
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.supplied[releaseURL]
	switch {
	case u == nil || u.requested == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED:
		return "", fmt.Errorf("%w: software release %s is not supplied to this computer", recipe.ErrNotAvailable, releaseURL)
	case u.err != "":
		return "", fmt.Errorf("cannot use software release %s: %s", releaseURL, u.err)
	}
	return "", fmt.Errorf("%w: software release %s is being installed", recipe.ErrNotAvailable, releaseURL)
}

// run installs and removes until ctx ends.
func (w *software) run(ctx context.Context) error {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
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
		w.mu.Lock()
		var url string
		var u supply
		next := idle
		for candidate, s := range w.supplied {
			if w.settled(candidate, s) {
				continue
			}
			if pause := time.Until(s.due); pause > 0 {
				next = min(next, pause)
				continue
			}
			if url == "" || candidate < url {
				url, u = candidate, *s
			}
		}
		w.mu.Unlock()
		if url == "" {
			return next
		}
		reported, err := w.one(ctx, url, u)
		w.mu.Lock()
		if s := w.supplied[url]; s != nil {
			s.reported = reported
			if err == nil {
				s.failures, s.err, s.due = 0, "", time.Time{}
			} else {
				s.failures++
				s.due = time.Now().Add(backoff.Delay(s.failures, url, firstInstall, lastInstall))
				if peer.Code(err) == "" { // not svc-master's: the installation itself failed
					s.err = err.Error()
				}
			}
		}
		w.mu.Unlock()
	}
	return idle
}

func (w *software) settled(url string, s *supply) bool {
	installed := w.s.Releases.Installed(url)
	if s.requested == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
		return !installed && s.reported == s.requested
	}
	return installed && s.reported == masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE
}

// one settles one release, and returns what svc-master was told last.
func (w *software) one(ctx context.Context, url string, u supply) (masterv1.SoftwareState, error) {
	told := u.reported
	tell := func(state masterv1.SoftwareState, text string, options *masterv1.ReleaseOptions) error {
		call, cancel := context.WithTimeout(ctx, softwareTimeout)
		defer cancel()
		err := w.s.Master.ReportSoftwareState(call, &masterv1.ReportSoftwareStateRequest{
			SoftwareRelease: url, Computer: w.s.Computer, State: state, Error: cut(text, maxReleaseError), Options: options,
		})
		if err == nil {
			told = state
			w.s.Telemetry.Event(ctx, conv.EventReleaseState, conv.ComputerID.String(w.s.Computer), conv.ReleaseURL.String(url),
				conv.ReleaseState.String(strings.ToLower(strings.TrimPrefix(state.String(), "SOFTWARE_STATE_"))))
		}
		return err
	}
	if u.requested == masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED {
		if err := w.s.Releases.Remove(url); err != nil {
			return told, err
		}
		return told, tell(masterv1.SoftwareState_SOFTWARE_STATE_DESTROYED, "", nil)
	}
	if !w.s.Releases.Installed(url) {
		// Whether svc-master hears that it is being built changes nothing: it is built.
		if err := tell(masterv1.SoftwareState_SOFTWARE_STATE_BUILDING, "", nil); err != nil {
			w.s.Telemetry.Log.DebugContext(ctx, "svc-master does not know of an installation", "release", url, "error", err)
		}
		if err := w.s.Releases.Install(ctx, url); err != nil {
			w.s.Telemetry.Log.WarnContext(ctx, "a software release is not installed", "release", url, "error", err)
			if tellErr := tell(masterv1.SoftwareState_SOFTWARE_STATE_ERROR, err.Error(), nil); tellErr != nil {
				w.s.Telemetry.Log.DebugContext(ctx, "svc-master does not know of a failed installation", "release", url, "error", tellErr)
			}
			return told, err
		}
		w.s.Telemetry.Log.InfoContext(ctx, "a software release is installed", "release", url)
	}
	return told, tell(masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE, "", optionsOf(w.s.Releases.Options(url)))
}

func optionsOf(o release.Options) *masterv1.ReleaseOptions {
	options := &masterv1.ReleaseOptions{Error: cut(o.Error, maxReleaseError)}
	if o.Periodicity > 0 {
		options.Periodicity = durationpb.New(o.Periodicity)
	}
	if o.HasQuota {
		options.BangQuota = &o.BangQuota
	}
	switch o.Policy {
	case release.PolicyTree:
		options.BangPolicy = masterv1.BangPolicy_BANG_POLICY_TREE
	case release.PolicyAncestors:
		options.BangPolicy = masterv1.BangPolicy_BANG_POLICY_ANCESTORS
	}
	return options
}
