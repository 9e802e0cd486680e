package command

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/wait"
)

const (
	// reopen is how long a command that follows something waits before it opens a stream again.
	reopen = time.Second
	// absenceTold is how often a command that follows something says that a service is away: several streams find out at once, and each tries every second.
	absenceTold = time.Minute
)

// absence is when it was said last that a service is away.
type absence struct {
	mu   sync.Mutex
	told time.Time
	// drawn is set while a screen is drawn, which says it itself.
	drawn bool
}

// absent says on the error output that a service that is followed does not answer: whoever waits for news shall not take silence for calm.
func (s *session) absent(err error) {
	s.absence.mu.Lock()
	defer s.absence.mu.Unlock()
	if now := time.Now(); !s.absence.drawn && now.Sub(s.absence.told) >= absenceTold {
		s.absence.told = now
		fmt.Fprintf(s.errOut, "vow: %s; trying again\n", rpc.Message(err))
	}
}

// again opens a stream as long as its service is only away.
func (s *session) again(ctx context.Context, what string, open func() error) error {
	for {
		err := open()
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whoever asked for the watch ended it
		case rpc.IsUnavailable(err):
			s.absent(err)
		case err != nil:
			return fmt.Errorf("cannot watch %s: %w", what, err)
		}
		if wait.For(ctx, reopen) != nil {
			return nil //nolint:nilerr // whoever asked for the watch ended it
		}
	}
}
