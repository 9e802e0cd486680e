package follow

import (
	"context"
	"errors"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/owner"
)

// Master is what a follower asks of svc-master.
type Master interface {
	// Follow opens the feed from positions; a shard that is not named begins at its end. Ended with ctx.
	Follow(ctx context.Context, from []Position, follower string) (Feed, error)
	// Trees returns the allocations of at most 100 trees; ErrUnknownTree when one of them is gone.
	Trees(ctx context.Context, trees []string) ([]owner.Placed, error)
	// Unsettled returns all allocations with wanted > settled.
	Unsettled(ctx context.Context) ([]owner.Placed, error)
	// ReportContacts tells when bytes were last read from computers, at most 5,000.
	ReportContacts(ctx context.Context, contacts map[string]time.Time) error
}

// ErrUnknownTree says that a tree is gone.
var ErrUnknownTree = errors.New("no such tree")

// Feed is an open stream.
type Feed interface {
	// Next waits for a batch; an error ends the stream.
	Next() (Batch, error)
	Close()
}

// Position is a place in a shard's slice of the feed.
type Position struct {
	Shard           uint32
	Epoch, Sequence uint64
}

// Batch is what the feed sends at once.
type Batch struct {
	// Start are the positions of all shards, in the first batch only; Rescan those of shards whose entries were lost.
	Start, Rescan []Position
	Entries       []Entry
}

// Kind is what an entry tells.
type Kind int

// The kinds that matter here.
const (
	Other Kind = iota
	Changed
	Bang
	Begun
	Reported
)

// Entry is a hint that something changed.
type Entry struct {
	Position   Position
	Kind       Kind
	Tree       string
	Generation agenda.Generation
	// Membership is the version of the tree's membership after it.
	Membership uint64
	// Instances concerned; of a bang, none = every member.
	Instances []string
	// Begun and Reported: where, and the run.
	Computer, Partition, Allocation string
	Run                             agenda.RunSeen
	End                             agenda.RunEnded
	// Bang.
	Bang agenda.Bang
	// At is when svc-master wrote it; Delay holds the runs back (bangs and changes).
	At    time.Time
	Delay time.Duration
}
