package rpc

import (
	"context"
	"net/http"
	"time"
)

// ending makes a handler that waits for its caller's next message see the end of its stream when the server stops:
// the context of a stream does not reach a blocked receive, a deadline of its reads does.
//
// Only HTTP/2 has a deadline per stream. A unary call has received its message by then and is not disturbed.
func ending(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		ended := make(chan struct{})
		cancel := context.AfterFunc(stopping, func() {
			defer close(ended)
			_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // the past; an error means the stream is gone
		})
		defer func() {
			if !cancel() {
				<-ended // w must not be touched after this handler returned
			}
		}()
		next.ServeHTTP(w, r)
	})
}
