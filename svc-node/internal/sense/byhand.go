package sense

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// ErrNoPromise marks that a promise which a person named is not there.
var ErrNoPromise = errors.New("no such promise")

// ByHand is a sensing of promises for a person.
type ByHand struct {
	Directory    partition.Directory
	AllocationID string
	// Names are promises, or their files; none = all.
	Names []string
	// Anomaly: as their own periodicity would, and the groups go to svc-promise; else as a run tests them.
	Anomaly bool
	// Dry: nothing is written or reported.
	Dry   bool
	Debug bool
	// Timeout replaces that of each promise; 0 = theirs.
	Timeout time.Duration
}

// ByHand senses promises of a partition now and tells each as soon as it is sensed, one call at a time. It ends with the first
// error of tell.
func (m *Manager) ByHand(ctx context.Context, h ByHand, tell func(*nodev1.SensePromisesResponse) error) error {
	promises, err := m.list(h.Directory)
	if err != nil {
		return err
	}
	promises, err = sensor.Choose(promises, h.Names, h.Timeout)
	if err != nil {
		return fmt.Errorf("cannot sense the promises of %s: %w: %w", h.Directory.Name, ErrNoPromise, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var sensing sync.WaitGroup
	for _, p := range promises {
		sensing.Go(func() {
			answer, err := m.byHand(ctx, h, p)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && ctx.Err() == nil {
				err = tell(answer)
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	sensing.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("cannot sense the promises of %s: %w", h.Directory.Name, err)
	}
	return nil
}

// byHand senses one promise.
func (m *Manager) byHand(ctx context.Context, h ByHand, p sensor.Promise) (*nodev1.SensePromisesResponse, error) {
	if skipped := Skipped(p, h.Anomaly); skipped != "" {
		return &nodev1.SensePromisesResponse{Promise: p.Name, Kind: p.Kind, File: p.File, Skipped: skipped, Verdict: &typev1.Verdict{Promise: p.Name}}, nil
	}
	g, from := m.sense(ctx, h.Directory, p, how{asked: !h.Anomaly, dry: h.Dry, debug: h.Debug})
	if g == nil {
		return nil, context.Cause(ctx)
	}
	if h.Anomaly && !h.Dry {
		m.record(ctx, h.Directory.Name, h.AllocationID, g, &from)
	}
	groups, err := m.s.Log.Groups(h.AllocationID, p.Name)
	if err != nil {
		return nil, err
	}
	if g.GetSequence() == 0 { // it stays out of the log
		g.Sequence = 1
		if n := len(groups); n > 0 {
			g.Previous = groups[n-1].GetSequence()
			g.Sequence = g.Previous + 1
		}
		groups = append(groups, g)
	}
	m.mu.Lock()
	mute := m.mutes.find(h.AllocationID, p.Name, time.Now())
	m.mu.Unlock()
	answer := Account(p, g, groups, h.Anomaly, h.Dry, mute)
	if !h.Dry {
		m.file(ctx, h.Directory, []filed{{p, g, answer.GetVerdict(), h.Anomaly}})
	}
	return answer, nil
}

// Skipped says why a promise is not sensed in this mode; empty = it is.
func Skipped(p sensor.Promise, anomaly bool) string {
	switch {
	case anomaly && p.Anomalyless && !p.Testless:
		return "it has no anomaly detector"
	case !anomaly && p.Testless && !p.Anomalyless:
		return "it is never tested"
	}
	return ""
}

// Account is what a person is told of the group that a promise recorded by hand; groups are its window, of which g is the
// newest.
func Account(p sensor.Promise, g *typev1.SenseGroup, groups []*typev1.SenseGroup, anomaly, dry bool, mute *typev1.Mute) *nodev1.SensePromisesResponse {
	answer := Explain(p.Name, groups)
	answer.Kind, answer.File, answer.Group, answer.Verdict.Mute = p.Kind, p.File, g, mute
	failed := answer.GetVerdict().GetTestFailed()
	if anomaly {
		failed = answer.GetVerdict().GetAnomaly()
	}
	answer.Failed = failed && mute == nil
	switch {
	case !anomaly:
		answer.Bang = nodev1.BangDue_BANG_DUE_UNSPECIFIED
	case answer.GetBang() == nodev1.BangDue_BANG_DUE_BANG && (dry || mute != nil):
		answer.Bang = nodev1.BangDue_BANG_DUE_WITHHELD
	}
	return answer
}
