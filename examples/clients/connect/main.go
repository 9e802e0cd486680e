// Command connect is a service that deploys with vow, over Connect: it asks for sites, and bangs them when it is told that they look wrong.
//
//	PUT  /sites/{title}?greeting=hi   requests the site, waits until it is Green, and answers with what it published
//	POST /sites/{title}/bang          makes every partition of it run again, and tells each state of the convergence
//
// An Idempotency-Key header becomes the key of the call to vow: a client that repeats its request gets one bang.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vowclient"
)

// waitAtMost bounds a deployment; the caller may give up before.
const waitAtMost = time.Minute

func main() {
	address := flag.String("address", "127.0.0.1:8090", "loopback `address` to listen on")
	master := flag.String("master", "http://127.0.0.1:7711", "base `URL` of svc-master")
	release := flag.String("release", "", "`URL` of the supplied software release of every site")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *address, &sites{vow: vowclient.New(&http.Client{}, *master), release: *release}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, address string, s *sites) error {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /sites/{title}", s.put)
	mux.HandleFunc("POST /sites/{title}/bang", s.bang)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(bounded)
	}
}

// sites deploys sites of one release.
type sites struct {
	vow     *vowclient.Client
	release string
}

// put is declarative, as RequestInstance is: the same title with other parameters is the upgrade.
func (s *sites) put(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), waitAtMost)
	defer cancel()
	request := &masterv1.RequestInstanceRequest{RequestId: key(r), Title: r.PathValue("title"), SoftwareRelease: s.release, Parameters: map[string]string{}}
	for name, values := range r.URL.Query() {
		request.Parameters[name] = values[0]
	}
	instance, err := s.vow.RequestAndWait(ctx, request)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"colour": "Green", "published": instance.GetConnectionParameters()}) // the caller left
}

// bang tells each state as it comes; the answer ends with the convergence.
func (s *sites) bang(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), waitAtMost)
	defer cancel()
	tree, err := s.vow.TreeByTitle(ctx, r.PathValue("title"))
	if err != nil {
		refuse(w, err)
		return
	}
	bang, err := s.vow.Bang(ctx, &masterv1.BangRequest{
		RequestId: key(r), Source: "sites", Message: "told so by " + r.RemoteAddr, Target: &masterv1.BangRequest_TreeId{TreeId: tree.GetTreeId()},
	})
	if err != nil {
		refuse(w, err)
		return
	}
	for convergence, err := range s.vow.Follow(ctx, bang.GetResults()[0].GetConvergenceId()) {
		if err != nil {
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintf(w, "%s %s, waits for %d\n", convergence.GetConvergenceId(), convergence.GetState(), len(vowclient.Blockers(convergence)))
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// key makes what the caller repeats one call to vow. The path is part of it: a caller's key may be used for two things.
func key(r *http.Request) string {
	given := r.Header.Get("Idempotency-Key")
	if given == "" {
		return "" // vowclient makes one for the call
	}
	return vowclient.Key(r.Method, r.URL.Path, given)
}

// refuse tells errors of vow apart for callers of this service.
func refuse(w http.ResponseWriter, err error) {
	var invalid *vowclient.InvalidError
	var refused *vowclient.RefusedError
	var notReady *vowclient.NotReadyError
	code := http.StatusBadGateway
	switch {
	case errors.As(err, &invalid):
		code = http.StatusBadRequest
	case errors.As(err, &refused):
		code = http.StatusTooManyRequests
		if !refused.OpensAt.IsZero() {
			w.Header().Set("Retry-After", strconv.Itoa(max(1, int(time.Until(refused.OpensAt).Seconds()))))
		}
	case errors.As(err, &notReady):
		code = http.StatusGatewayTimeout
	case vowclient.IsNotFound(err):
		code = http.StatusNotFound
	}
	http.Error(w, err.Error(), code)
}
