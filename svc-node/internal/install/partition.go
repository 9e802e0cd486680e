package install

import (
	"context"
	"time"

	"github.com/vow-os/vow/svc-node/profile"
)

// Partition is what to deploy and where.
type Partition struct {
	// Directory is the partition's, absolute; it must exist.
	Directory string
	// ReleaseDirectory is that of the installed software release, absolute.
	ReleaseDirectory string
	// Profile is the path of the instance profile. Empty: instance.cfg in the release, or else template.cfg.
	Profile string
	// Buildout is the executable of a real buildout, for profiles that need what is not built in when the release does not
	// bring one as bin/buildout. Empty: none.
	Buildout string
	// Environment is what the profile is resolved in; its BuildoutDirectory is set to Directory.
	Environment profile.Environment
	// Cache keeps parsed profiles from run to run and may be shared by all partitions. Nil: none.
	Cache *Cache
}

// Observer is told of each part of a run, from one goroutine. It is how a caller traces and times parts.
type Observer interface {
	// PartStarted returns the context the part runs in.
	PartStarted(ctx context.Context, part PartStart) context.Context
	// PartDone is told how it ended, with the context that PartStarted returned.
	PartDone(ctx context.Context, part PartReport)
}

// PartStart names a part that is about to be handled.
type PartStart struct {
	Name, Recipe string
	Action       profile.Action
	Reason       string
}

// PartReport is what happened to a part.
type PartReport struct {
	PartStart
	// Changed says that the disk changes, or a command ran.
	Changed  bool
	Duration time.Duration
	// Err is why it failed, with its place in the profile, or nil.
	Err error
	// Edited lists files of the part that somebody changed since they were written. Those of an unchanged part are
	// left as they are.
	Edited []string
}

// Result is what a run did.
type Result struct {
	// Changed says that something on disk or in what is published changed, or a command ran.
	Changed bool
	// Parts are those handled, in order; skipped ones too.
	Parts []PartReport
	// Published is what the profile publishes now; nil when it publishes nothing.
	Published map[string]string
	// PublishedShared is what it publishes for the shared instances that it hosts, by reference.
	PublishedShared map[string]map[string]string
	// PublishedChanged says that the master was told new values.
	PublishedChanged bool
	// Requested are the titles of the instances the profile asked for, in order.
	Requested []string
	// Waiting says, for each part that cannot go on yet, why.
	Waiting []Waiting
	// Kept are paths, in the partition, of files moved away because somebody had changed them.
	Kept []string
}

// Waiting is one part that cannot go on yet.
type Waiting struct{ Part, Reason string }

// PartError is a part that failed; parts before it are installed.
type PartError struct {
	Part string
	Err  error
}

// Error implements error.
func (e *PartError) Error() string { return e.Err.Error() }

// Unwrap gives the cause, a *profile.Error with the place as a rule.
func (e *PartError) Unwrap() error { return e.Err }
