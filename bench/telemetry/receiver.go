package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

// receiver is an OTLP endpoint (HTTP, protobuf) that counts what it gets and drops it. It decodes as little as it can: it
// shares the machine with what is measured.
type receiver struct {
	url                  string
	server               *http.Server
	spans, bangs, others atomic.Int64
}

// counts is what arrived.
type counts struct{ spans, bangs, others int64 }

func (c counts) minus(o counts) counts {
	return counts{c.spans - o.spans, c.bangs - o.bangs, c.others - o.others}
}

// maxExport bounds one export; the SDK's batches are far smaller.
const maxExport = 16 << 20

func newReceiver(ctx context.Context) (*receiver, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String()}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go r.server.Serve(listener) //nolint:errcheck // it ends with close
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

func (r *receiver) counted() counts {
	return counts{r.spans.Load(), r.bangs.Load(), r.others.Load()}
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxExport))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if request.URL.Path == "/v1/traces" {
		r.count(body)
	} else {
		r.others.Add(1)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// The numbers of the fields on the way to a span's name: ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span.
const (
	fieldResourceSpans = 1
	fieldScopeSpans    = 2
	fieldSpans         = 2
	fieldName          = 5
)

func (r *receiver) count(export []byte) {
	each(export, fieldResourceSpans, func(resource []byte) {
		each(resource, fieldScopeSpans, func(scope []byte) {
			each(scope, fieldSpans, func(span []byte) {
				r.spans.Add(1)
				each(span, fieldName, func(name []byte) {
					if string(name) == conv.SpanBang {
						r.bangs.Add(1)
					}
				})
			})
		})
	})
}

// each calls with each field of a number that is bytes; what cannot be read ends it.
func each(message []byte, number protowire.Number, field func([]byte)) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return
		}
		message = message[size:]
		if n == number && kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return
			}
			field(value)
			message = message[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return
		}
		message = message[size:]
	}
}

// settling is longer than a service keeps a batch of spans, 5 s.
const settling = 8 * time.Second
