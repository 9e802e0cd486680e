package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/vow-os/vow/kit/telemetry"
)

// named is the name of the folder of a release, and nothing else is ever collected.
var named = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Remove removes a release and what is left of its installation. Idempotent.
func (r *Root) Remove(ctx context.Context, releaseURL string) error {
	u, err := r.user()
	var unlock func()
	if err == nil {
		unlock, err = r.lock(ctx, u)
	}
	if err == nil {
		defer unlock()
		err = u.Do(func() error { return r.remove(r.Directory(releaseURL)) })
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", telemetry.Redacted(releaseURL), err)
	}
	return nil
}

func (r *Root) remove(target string) error {
	killBuild(target)
	p := partialFile{path: r.hidden(downloading, target)}
	away := r.hidden(installing, target)
	err := errors.Join(p.remove(), removeAll(away))
	// It loses its name first: what is half removed must not look whole.
	if renameErr := os.Rename(target, away); renameErr != nil && !errors.Is(renameErr, fs.ErrNotExist) {
		return errors.Join(err, renameErr)
	}
	return errors.Join(err, removeAll(away))
}

// Collect removes what installations of releases left that are not among keep, and with installed also the releases
// themselves: folders of that name that say that they are one. It tells which folders it removed.
func (r *Root) Collect(ctx context.Context, keep []string, installed bool) (removed []string, err error) {
	u, err := r.user()
	var unlock func()
	if err == nil {
		unlock, err = r.lock(ctx, u)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot collect unused software releases: %w", err)
	}
	defer unlock()
	kept := map[string]bool{}
	for _, url := range keep {
		kept[filepath.Base(r.Directory(url))] = true
	}
	err = u.Do(func() (err error) {
		removed, err = r.collect(kept, installed)
		return err
	})
	if err != nil {
		err = fmt.Errorf("cannot collect unused software releases: %w", err)
	}
	return removed, err
}

// collect removes what is not kept.
func (r *Root) collect(kept map[string]bool, installed bool) (removed []string, err error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(entry.Name(), downloading), installing), ".json")
		if !named.MatchString(name) || kept[name] {
			continue
		}
		path := filepath.Join(r.dir, entry.Name())
		switch {
		case name != entry.Name():
			err = errors.Join(err, removeAll(path))
		case installed && entry.IsDir() && isRelease(path):
			err = errors.Join(err, r.remove(path))
			removed = append(removed, path)
		}
	}
	return removed, err
}

// isRelease tells a release, whole or half built, from a folder that happens to have such a name.
func isRelease(dir string) bool {
	for _, name := range []string{completed, buildoutConfig} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}
