package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vow-os/vow/bench/load"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// receiving is the argument with which this program is the receiver.
const receiving = "receive"

// receiver is an OTLP endpoint (HTTP, protobuf) that counts what it gets and drops it: a process of its own, so that what it uses is told apart.
// It decodes as little as it can: it shares the machine with what is measured.
type receiver struct {
	url     string
	command *exec.Cmd
	stop    io.Closer // its standard input: it ends with that
}

// counts is what arrived from the services of a plane. Planes are told apart by the path of their endpoint.
type counts struct{ Spans, Bangs, Logs, Bytes int64 }

func startReceiver(ctx context.Context) (*receiver, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &receiver{command: exec.CommandContext(ctx, self, receiving)} //nolint:gosec // this program
	r.command.Stderr = os.Stderr
	if r.stop, err = r.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		r.close()
		return nil, err
	}
	r.url = strings.TrimSpace(line)
	return r, nil
}

func (r *receiver) close() {
	_ = r.stop.Close()
	_ = r.command.Wait() // it has nothing to say
}

// used is the processor time of the receiver so far.
func (r *receiver) used() time.Duration { return load.Used(r.command.Process.Pid) }

// endpoint of a plane.
func (r *receiver) endpoint(plane string) string { return r.url + "/" + url.PathEscape(plane) }

// counted is what arrived so far from the plane.
func (r *receiver) counted(ctx context.Context, plane string) (c counts, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.endpoint(plane), http.NoBody)
	if err != nil {
		return c, err
	}
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return c, fmt.Errorf("cannot ask the receiver: %w", err)
	}
	defer response.Body.Close()
	return c, json.NewDecoder(response.Body).Decode(&c)
}

// receive is the receiver's process: it tells its address and serves until its standard input ends.
func receive() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: &counter{planes: map[string]*counts{}}, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// counter is the receiver's handler.
type counter struct {
	mu     sync.Mutex
	planes map[string]*counts
	body   []byte // the last one, whose memory is used again
}

// maxExport bounds one export; the SDK's batches are far smaller.
const maxExport = 16 << 20

// ServeHTTP implements http.Handler: an export, or the question what arrived.
func (c *counter) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	plane, signal, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.planes[plane]
	if of == nil {
		of = &counts{}
		c.planes[plane] = of
	}
	if request.Method == http.MethodGet {
		_ = json.NewEncoder(w).Encode(of)
		return
	}
	body := bytes.NewBuffer(c.body[:0])
	if _, err := body.ReadFrom(io.LimitReader(request.Body, maxExport)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.body = body.Bytes()
	of.Bytes += int64(len(c.body))
	of.count(signal, c.body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// The numbers of the fields on the way to a span's name (ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span), which are those on the way to a log record, too.
const (
	fieldResources = 1
	fieldScopes    = 2
	fieldItems     = 2
	fieldName      = 5
)

func (c *counts) count(signal string, export []byte) {
	if signal != "v1/traces" && signal != "v1/logs" {
		return
	}
	each(export, fieldResources, func(resource []byte) {
		each(resource, fieldScopes, func(scope []byte) {
			each(scope, fieldItems, func(item []byte) {
				if signal == "v1/logs" {
					c.Logs++
					return
				}
				c.Spans++
				each(item, fieldName, func(name []byte) {
					if string(name) == conv.SpanBang {
						c.Bangs++
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
