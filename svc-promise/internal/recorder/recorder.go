package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
	"github.com/vow-os/vow/svc-promise/internal/history"
	"github.com/vow-os/vow/svc-promise/internal/redisstore"
	"github.com/vow-os/vow/svc-promise/internal/window"
)

const (
	// every is how long points wait at most: what a list may be behind.
	every = 2 * time.Second
	// MaxBatch promises are read and written in one round trip each: about 300 kB.
	MaxBatch = 500
	// lastTimeout bounds the last writing, when the service stops.
	lastTimeout = 5 * time.Second
)

// Recorder writes points behind.
type Recorder struct {
	windows *window.Windows
	store   *redisstore.Store
	t       *telemetry.Telemetry
	limits  conv.Counter
}

// New makes a recorder.
func New(w *window.Windows, s *redisstore.Store, t *telemetry.Telemetry) *Recorder {
	return &Recorder{windows: w, store: s, t: t, limits: conv.LimitHits.New(t.Meter("svc-promise/recorder"))}
}

// Run writes until ctx ends, and then once more.
func (r *Recorder) Run(ctx context.Context) error {
	ctx = telemetry.NewRootContext(ctx)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for away := false; ; {
		select {
		case <-tick.C:
			err := r.Flush(ctx)
			if err != nil && !away {
				r.t.Log.WarnContext(ctx, "history waits for the store", "error", err)
			}
			away = err != nil
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
			defer cancel()
			if err := r.Flush(last); err != nil {
				r.t.Log.WarnContext(last, "the last points are not kept; the nodes replay them", "error", err)
			}
			return nil
		}
	}
}

// Flush writes what waits now. What another replica wrote meanwhile is tried again the next time.
func (r *Recorder) Flush(ctx context.Context) error {
	points, dropped := r.windows.Take()
	if dropped > 0 {
		r.limits.Add(ctx, int64(dropped), conv.LimitName.String("history.pending"))
	}
	var errs []error
	batch := make([]redisstore.Wanted, 0, min(len(points), MaxBatch))
	now := time.Now()
	write := func() {
		if len(batch) == 0 {
			return
		}
		if err := r.batch(ctx, batch, points, now); err != nil {
			errs = append(errs, err)
		}
		batch = batch[:0]
	}
	for key, of := range points {
		batch = append(batch, redisstore.Wanted{Key: key, Fields: history.Fields(*of, now)})
		if len(batch) == MaxBatch {
			write()
		}
	}
	write()
	return errors.Join(errs...)
}

func (r *Recorder) batch(ctx context.Context, batch []redisstore.Wanted, points map[redisstore.Key]*[]history.Point, now time.Time) error {
	loaded, err := r.store.Load(ctx, batch)
	if err != nil {
		for _, w := range batch {
			r.windows.GiveBack(w.Key, *points[w.Key])
		}
		return err
	}
	writes := make([]redisstore.Write, 0, len(loaded))
	for _, p := range loaded {
		criminal := len(history.Crimes(p.Record)) > 0
		if changed := p.Merge(*points[p.Key], now); changed.Any {
			writes = append(writes, redisstore.Write{Promise: p, Changed: changed, Criminal: criminal})
		}
	}
	saved, err := r.store.Save(ctx, writes)
	for i, w := range writes {
		if i >= len(saved) || !saved[i] {
			r.windows.GiveBack(w.Key, *points[w.Key])
		}
	}
	if err != nil {
		return fmt.Errorf("cannot keep points: %w", err)
	}
	return nil
}
