package api

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/wait"
)

// Delays of a stream that is lost.
const (
	keepFirst = 500 * time.Millisecond
	keepMax   = 30 * time.Second
)

// Keep follows a stream, and opens it again with a growing delay when it is lost, until ctx ends or follow says that it is over. follow calls heard for each message:
// a stream that said something, or was open for long, had worked. again is called before each but the first opening.
func Keep(ctx context.Context, name string, follow func(ctx context.Context, heard func()) (over bool), again func()) {
	for attempt := 1; ; attempt++ {
		began, worked := time.Now(), false
		if follow(ctx, func() { worked = true }) {
			return
		}
		if worked || time.Since(began) > keepMax {
			attempt = 1
		}
		if wait.For(ctx, backoff.Delay(attempt, name, keepFirst, keepMax)) != nil {
			return
		}
		again()
	}
}

// Each does something with each message of a stream that was opened, until it ends.
func Each[M any](stream *connect.ServerStreamForClient[M], err error, do func(*M)) error {
	if err != nil {
		return err
	}
	for stream.Receive() {
		do(stream.Msg())
	}
	return errors.Join(stream.Err(), stream.Close())
}
