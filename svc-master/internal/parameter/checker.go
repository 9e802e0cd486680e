package parameter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/schema"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

const (
	// maxReleases is how many releases are kept compiled; at some MiB for a large one the worst is 100 MiB. The one that was asked for
	// least recently goes first.
	maxReleases = 64
	// fresh is how long a release's schema is used without asking the store whether it has another one: another replica took the report.
	fresh = 10 * time.Second
	// maxProblem is the longest text of a problem, in bytes.
	maxProblem = 2000
)

// Checker has the schemas of releases.
type Checker struct {
	store *redisstore.Store
	log   *slog.Logger

	mu    sync.Mutex // guards known; nothing waits under it
	known map[string]*entry
}

// entry is what is known of a release.
type entry struct {
	release     *Release
	asked, used time.Time
}

// New makes a checker.
func New(store *redisstore.Store, log *slog.Logger) *Checker {
	return &Checker{store: store, log: log, known: map[string]*entry{}}
}

// Of is the schema of a release; nil = nothing is known of it. Errors: *redisstore.UnavailableError.
func (c *Checker) Of(ctx context.Context, url string) (*Release, error) {
	now := time.Now()
	c.mu.Lock()
	e := c.known[url]
	if e != nil {
		e.used = now
		if now.Sub(e.asked) < fresh {
			c.mu.Unlock()
			return e.release, nil
		}
	}
	c.mu.Unlock()
	record, err := c.store.ReleaseSchema(ctx, url)
	if err != nil || record == nil {
		return nil, err
	}
	if e != nil && e.release.Digest == record.GetDigest() {
		c.put(url, e.release, now)
		return e.release, nil
	}
	r := &Release{Digest: record.GetDigest()}
	if r.Digest != redisstore.NoSchema {
		if r.Files, err = c.store.SchemaFiles(ctx, r.Digest); err != nil || r.Files == nil {
			return nil, err
		}
		r.description, r.unusable = schema.OpenBundle(filesOf(r.Files))
	}
	c.put(url, r, now)
	return r, nil
}

func (c *Checker) put(url string, r *Release, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[url] == nil && len(c.known) >= maxReleases {
		oldest := ""
		for candidate, e := range c.known {
			if oldest == "" || e.used.Before(c.known[oldest].used) {
				oldest = candidate
			}
		}
		delete(c.known, oldest)
	}
	c.known[url] = &entry{release: r, asked: now, used: now}
}

// Learn notes the schema of a release, as a node told it. It answers false when its files are needed. Errors: *redisstore.UnavailableError, *Mistaken.
func (c *Checker) Learn(ctx context.Context, url, digest string, files *masterv1.ReleaseSchema) (bool, error) {
	if files != nil && schema.Digest(filesOf(files)) != digest {
		return false, &Mistaken{"the schema is not that of its digest"}
	}
	known, err := c.store.KeepReleaseSchema(ctx, url, digest, files)
	if err == nil && known {
		c.mu.Lock()
		if e := c.known[url]; e != nil && e.release.Digest != digest {
			delete(c.known, url)
		}
		c.mu.Unlock()
	}
	return known, err
}

// Mistaken is what a caller got wrong.
type Mistaken struct{ Message string }

func (m *Mistaken) Error() string { return m.Message }

func filesOf(s *masterv1.ReleaseSchema) []schema.File {
	files := make([]schema.File, len(s.GetFiles()))
	for i, f := range s.GetFiles() {
		files[i] = schema.File{Path: f.GetPath(), Content: f.GetContent()}
	}
	return files
}

// Release is what a release ships to describe the parameters of its instances.
type Release struct {
	Digest string
	// Files is nil when it ships none.
	Files       *masterv1.ReleaseSchema
	description *schema.Description
	unusable    error

	mu    sync.Mutex // guards types; held while one is compiled, which is bounded
	types map[key]*compiled
}

type key struct {
	kind   string
	shared bool
}

type compiled struct {
	schema        *schema.Schema
	serialisation string
	err           error
}

// Problem is why nothing of it can be used; empty = it can.
func (r *Release) Problem() string {
	if r.unusable == nil {
		return ""
	}
	return r.unusable.Error()
}

// Types lists the software types that it describes.
func (r *Release) Types() []*masterv1.SoftwareType {
	if r.description == nil {
		return nil
	}
	var all []*masterv1.SoftwareType
	for _, t := range r.description.Types() {
		told := &masterv1.SoftwareType{Name: t.Name, Title: t.Title, Shared: t.Shared, Serialisation: t.Serialisation, Request: t.Request, Response: t.Response}
		if t.Request != "" {
			if err := r.of(key{t.Name, t.Shared}).err; err != nil {
				told.Problem = err.Error()
			}
		}
		all = append(all, told)
	}
	return all
}

// of compiles the schema of a type once.
func (r *Release) of(k key) *compiled {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.types[k]; found != nil {
		return found
	}
	made := &compiled{}
	if made.serialisation, made.err = r.description.Serialisation(k.kind); made.err == nil {
		made.schema, made.err = r.description.Schema(k.kind, k.shared)
	}
	if r.types == nil {
		r.types = map[key]*compiled{}
	}
	r.types[k] = made
	return made
}

// Check says what is wrong with the parameters of an instance of a software type; empty = nothing, or there is no schema for them that can be used.
func (r *Release) Check(kind string, shared bool, parameters map[string]string) string {
	if r == nil || r.description == nil || !r.description.Describes(kind, shared) {
		return ""
	}
	c := r.of(key{kind, shared})
	if c.err != nil {
		return ""
	}
	given, err := schema.Given(parameters, c.serialisation)
	if err == nil {
		_, err = c.schema.Check(given, schema.Options{Scalars: c.serialisation == "xml"})
	}
	wrong := (*schema.Invalid)(nil)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrong):
		err = errors.New(wrong.Pointed())
	}
	if text := err.Error(); len(text) > maxProblem {
		return strings.ToValidUTF8(text[:maxProblem], "") + "…"
	}
	return err.Error()
}

// Keep forgets, each hour, what no computer is supplied with, and has nodes tell again what was lost, until ctx ends.
func (c *Checker) Keep(ctx context.Context) error {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	var spare []string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var err error
		if spare, err = c.sweep(ctx, spare); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "cannot forget the schemas of software releases that no computer has", "error", err)
		}
	}
}

// sweep looks once. A digest that no release has goes when it is found so twice, so that none goes that a node is just telling of.
func (c *Checker) sweep(ctx context.Context, spare []string) (found []string, err error) {
	releases, digests, err := c.store.SchemaFields(ctx)
	if err != nil {
		return spare, err
	}
	names, err := c.store.ComputerNames(ctx)
	if err != nil {
		return spare, err
	}
	computers, err := c.store.Computers(ctx, names)
	if err != nil {
		return spare, err
	}
	supplied := map[string]bool{}
	for _, computer := range computers {
		for url, s := range computer.Software {
			supplied[url] = true
			if s.GetSchemaDigest() == "" || releases[url] != nil {
				continue
			}
			if _, err := c.store.ChangeComputer(ctx, computer.Name, func(now *redisstore.Computer) error {
				if s := now.Software[url]; s != nil {
					s.SchemaDigest = ""
				}
				return nil
			}); err != nil {
				return spare, fmt.Errorf("cannot ask %s for a schema: %w", computer.Name, err)
			}
		}
	}
	var gone, drop []string
	used := map[string]bool{}
	for url, r := range releases {
		if !supplied[url] && time.Since(r.GetAt().AsTime()) > time.Hour/2 {
			gone = append(gone, url)
			continue
		}
		used[r.GetDigest()] = true
	}
	for _, digest := range digests {
		switch {
		case used[digest]:
		case slices.Contains(spare, digest):
			drop = append(drop, digest)
		default:
			found = append(found, digest)
		}
	}
	return found, c.store.DropSchemas(ctx, gone, drop)
}
