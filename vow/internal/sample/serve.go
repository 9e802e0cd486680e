package sample

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// Service says what to serve.
type Service struct {
	// Name is what the service answers with.
	Name string
	// Address is a loopback IP address.
	Address string
	// Port is 1–65535.
	Port int
	// Backends are base URLs of services that this one needs; it answers 503 while one does not answer.
	Backends []string
}

// backendTimeout bounds one question to a backend: the check that asks this service waits longer.
const backendTimeout = time.Second

// answer is what GET / returns.
type answer struct {
	Name     string            `json:"name"`
	PID      int               `json:"pid"`
	Backends map[string]string `json:"backends,omitempty"`
}

// Serve listens until SIGTERM or SIGINT.
func Serve(ctx context.Context, s Service) error {
	return listen(ctx, s.Name, s.Address, s.Port, handler(s))
}

// listen serves until SIGTERM or SIGINT.
func listen(ctx context.Context, name, address string, port int, handler http.Handler) error {
	ip := net.ParseIP(address)
	if ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("cannot serve on --address %q: want a loopback IP address", address)
	}
	if port < 1 || port > 65535 {
		return fmt.Errorf("cannot serve on --port %d: want 1 to 65535", port)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	server := &http.Server{
		Addr:              net.JoinHostPort(address, strconv.Itoa(port)),
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    8 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve %q: %w", name, err)
	case <-ctx.Done():
		return server.Close()
	}
}

// handler answers with the service's name, or with 503 and the backend that does not answer.
func handler(s Service) http.Handler {
	client := &http.Client{Timeout: backendTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := answer{Name: s.Name, PID: os.Getpid()}
		status := http.StatusOK
		for _, backend := range s.Backends {
			if got.Backends == nil {
				got.Backends = map[string]string{}
			}
			if err := ask(r.Context(), client, backend); err != nil {
				got.Backends[backend] = err.Error()
				status = http.StatusServiceUnavailable
				continue
			}
			got.Backends[backend] = "ok"
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(got) // the client is gone: nobody to tell
	})
}

// ask wants 200 from one GET.
func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		var inner *net.OpError
		if errors.As(err, &inner) {
			return fmt.Errorf("cannot reach %s: %w", url, inner.Err)
		}
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
