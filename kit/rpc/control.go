package rpc

import (
	"context"
	"net/http"
	"time"
)

// control ends the reads and writes of one request from outside of its handler.
//
// The context of a request does not reach a handler that waits in a receive or a send; deadlines of the stream do. HTTP/2
// has them per stream, HTTP/1.1 per connection, whose only request it is. They must not be set after the handler returned, which is what turn
// guards: a lock that waits on a channel, since setting a deadline may wait for the connection.
type control struct {
	turn     chan struct{}
	response *http.ResponseController
	returned bool
}

type controlKey struct{}

// past is a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// controlled gives every request its control, and ends the reads of all when the server stops: their handlers then
// return, and still have their answer written. A unary call has received its message by then and is not disturbed; over HTTP/1.1 it would be, since
// there the end of the reads is the end of the caller.
func controlled(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &control{turn: make(chan struct{}, 1), response: http.NewResponseController(w)}
		c.turn <- struct{}{}
		if r.ProtoMajor >= 2 {
			defer context.AfterFunc(stopping, func() { c.end(false) })()
		}
		defer c.handlerReturns()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), controlKey{}, c)))
	})
}

func (c *control) handlerReturns() {
	<-c.turn
	c.returned = true
	c.turn <- struct{}{}
}

// end fails the reads, and the writes too if asked; an error means that the stream is gone anyway.
func (c *control) end(writes bool) {
	<-c.turn
	if !c.returned {
		_ = c.response.SetReadDeadline(past())
		if writes {
			_ = c.response.SetWriteDeadline(past())
		}
	}
	c.turn <- struct{}{}
}

// EndStream ends the stream whose handler was given ctx, from any goroutine: its receive and send fail, also those that
// wait for a peer that has stopped reading. The peer sees the stream break. It does nothing once the handler returned, and
// outside of a request.
func EndStream(ctx context.Context) {
	if c, ok := ctx.Value(controlKey{}).(*control); ok {
		c.end(true)
	}
}

// SendWithin runs send, which sends one message on the stream whose handler was given ctx, and ends the stream if that
// takes longer than limit: a peer that does not read must be cut, and come back, rather than be waited for.
func SendWithin(ctx context.Context, limit time.Duration, send func() error) error {
	timer := time.AfterFunc(limit, func() { EndStream(ctx) })
	defer timer.Stop()
	return send()
}
