package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/script"
)

// The steps at both ends of a partition's life (docs/partition-life.md).

// prepareStep makes what every partition has, after it has checked that there is a disk to make it on.
func (e *Engine) prepareStep(_ context.Context, w *work) (changed bool, err error) {
	if err := os.MkdirAll(e.s.Root.Path(), 0o755); err != nil {
		return false, diskError(err)
	}
	if err := e.s.Disk.Check(); err != nil {
		return false, diskError(err)
	}
	if err := w.directory.Ensure(); err != nil {
		return false, diskError(err)
	}
	if changed, err = w.directory.LinkRelease(w.release); err != nil {
		return false, diskError(err)
	}
	return changed, diskError(w.directory.FreezeRetention(w.desired.GetRetentionDelay().AsDuration()))
}

// retentionStep tells until when the content is kept, if it is.
func (e *Engine) retentionStep(_ context.Context, w *work) (kept bool, err error) {
	now := time.Now()
	until, err := w.directory.RetainedUntil(now, w.desired.GetRetentionDelay().AsDuration())
	if err != nil {
		return false, diskError(err)
	}
	if !until.After(now) {
		return false, nil
	}
	w.retained = until
	return true, nil
}

// prermStep runs what a profile wants to be run before its content is removed. A run that fails later runs it again.
func (e *Engine) prermStep(ctx context.Context, w *work) (bool, error) {
	names, err := w.directory.Executables("etc/prerm")
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if err := e.hook(ctx, w.directory, filepath.Join(w.directory.Path, "etc", "prerm", name)); err != nil {
			return true, fmt.Errorf("cannot destroy: etc/prerm/%s failed: %w", name, err)
		}
	}
	return len(names) > 0, nil
}

// destroyStep runs the hook and removes the content. A hook that fails keeps the content for the next try.
func (e *Engine) destroyStep(ctx context.Context, w *work) (bool, error) {
	if hook := w.directory.Hook(); hook != "" {
		if err := e.hook(ctx, w.directory, hook); err != nil {
			return false, fmt.Errorf("cannot destroy: sbin/destroy failed: %w", err)
		}
	}
	e.ports.drop(w.desired.GetPartition())
	return true, diskError(w.directory.Clear())
}

// hook executes a one-shot executable of a partition that is to be destroyed.
func (e *Engine) hook(ctx context.Context, d partition.Directory, path string) error {
	return script.Run(ctx, e.tracer, script.Script{Directory: d, Path: path, Ends: true})
}

// diskError marks an error of the disk: neither the profile's nor vow's own.
func diskError(err error) error {
	if err == nil {
		return nil
	}
	return &problem{result: converge.Failure, errorType: converge.TypeDisk, err: err}
}

// maxErrorLog bounds the error that is kept in the partition, in bytes: its end.
const maxErrorLog = 64 << 10

// keepError keeps the error of a run in its partition until a run succeeds. That of a failed promise is in the promise's own log.
func (e *Engine) keepError(ctx context.Context, w *work, done converge.Run) {
	text := ""
	if done.Result != converge.Success && done.ErrorType != converge.TypePromise {
		text = lastBytes(done.Error, maxErrorLog)
	}
	if err := w.directory.KeepError(text); err != nil {
		e.s.Telemetry.Log.WarnContext(ctx, "the error of a run is not kept in its partition", "partition", w.run.Partition, "error", err)
	}
}
