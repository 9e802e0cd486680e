package owner

import (
	"context"
	"errors"
	"time"

	"github.com/vow-os/vow/svc-scheduler/agenda"
	"github.com/vow-os/vow/svc-scheduler/internal/redisstore"
)

// Placed is an allocation with where it is.
type Placed struct {
	Computer string
	// Membership is the version of its tree's membership.
	Membership uint64
	agenda.Allocation
}

// Master is what an owner asks of svc-master.
type Master interface {
	// Computer returns the allocations of a computer; ErrUnknownComputer when it is not registered.
	Computer(ctx context.Context, computer string) ([]Placed, error)
}

// Store keeps agendas.
type Store interface {
	Open(ctx context.Context, computer string) (redisstore.Stored, error)
	Load(ctx context.Context, computer string) (redisstore.Stored, error)
	Save(ctx context.Context, computer string, session uint64, head *redisstore.Head, entries []*agenda.Entry, removed []string) error
	Computers(ctx context.Context) ([]string, error)
}

// Errors of this package; internal/api gives them codes.
var (
	// ErrUnknownComputer says that svc-master does not know the computer.
	ErrUnknownComputer = errors.New("no such computer")
	// ErrUnknownPartition says that no instance is allocated there.
	ErrUnknownPartition = errors.New("no instance is allocated there")
	// ErrSuperseded says that a newer stream of the computer owns its agenda.
	ErrSuperseded = errors.New("a newer stream of the computer owns its agenda")
	// ErrElsewhere says that another replica owns it; retryable there.
	ErrElsewhere = errors.New("another replica serves the computer's orders")
	// ErrStopped says that this replica stops.
	ErrStopped = errors.New("this replica stops")
)

// Limits, each with its reason.
const (
	// MailboxSize bounds the events that wait for an owner: a computer has at most 1,000 partitions, each with a few events during a save.
	MailboxSize = 4096
	// SaveFirst and SaveMax shape the delay between two tries of a save.
	SaveFirst = 20 * time.Millisecond
	SaveMax   = 2 * time.Second
	// ReadFirst and ReadMax shape the delay between two tries to read the truth.
	ReadFirst = 100 * time.Millisecond
	ReadMax   = 5 * time.Second
	// CloseTimeout bounds the last save of a stream that ended.
	CloseTimeout = 2 * time.Second
)
