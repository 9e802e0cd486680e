package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// floorEnv makes a program of bench the bare server of Floor.
const floorEnv = "BENCH_FLOOR_SERVER"

// floorMessage is as long as an order on the wire.
const floorMessage = 400

// ServeFloor serves Floor if this process was started for that, and tells whether it was: the first thing in main.
func ServeFloor() bool {
	if os.Getenv(floorEnv) == "" {
		return false
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return true
	}
	var mu sync.Mutex
	news := make(chan struct{}) // closed when each stream shall send a message
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		control, message := http.NewResponseController(w), make([]byte, floorMessage)
		mu.Lock()
		next := news
		mu.Unlock()
		_ = control.Flush() // the streams are open when all have their head
		for {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			mu.Lock()
			next = news
			mu.Unlock()
			if _, err := w.Write(message); err != nil || control.Flush() != nil {
				return
			}
		}
	})
	mux.HandleFunc("/bang", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		close(news)
		news = make(chan struct{})
	})
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: mux, Protocols: unencrypted(), ReadHeaderTimeout: patience}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it lives as long as who started it
		_ = server.Close()
	}()
	_ = server.Serve(listener)
	return true
}

func unencrypted() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// Floor is how long a message takes from one bare process to the last of a number of HTTP/2 streams of another, each on a connection of its own, from the call
// that asks for it: what no control plane on this machine can be faster than. Nothing is decided, stored or encoded. Main must begin with ServeFloor.
func Floor(ctx context.Context, streams, times int) (took []time.Duration, err error) {
	if err := fits(streams, 1); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self) //nolint:gosec // ourselves
	command.Env = append(os.Environ(), floorEnv+"=1")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the bare server: %w", err)
	}
	defer func() {
		_ = stdin.Close()
		_ = command.Process.Kill()
		_ = command.Wait() // killed on purpose
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("cannot learn where the bare server is: %w", err)
	}
	base := "http://" + strings.TrimSpace(line)

	got := make(chan error, 2*streams) // each has a message and its end in it at most
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for range streams {
		readers.Go(func() { got <- readFloor(ctx, base, got) })
	}
	all := func(what string) error {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for n := range streams {
			select {
			case err := <-got:
				if err != nil {
					return fmt.Errorf("cannot measure the floor: %w", err)
				}
			case <-timer.C:
				return fmt.Errorf("waited %s in vain until each bare stream %s: %d of %d", patience, what, n, streams)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	if err := all("is open"); err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{Protocols: unencrypted()}}
	defer client.CloseIdleConnections()
	for range times {
		began := time.Now()
		if err := floorBang(ctx, client, base); err != nil {
			return nil, err
		}
		if err := all("has its message"); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func floorBang(ctx context.Context, client *http.Client, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/bang", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// readFloor opens a stream on a connection of its own, and tells when it is open and when each message was read whole.
func readFloor(ctx context.Context, base string, got chan<- error) error {
	transport := &http.Transport{Protocols: unencrypted()}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/stream", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	message := make([]byte, floorMessage)
	for {
		got <- nil
		if _, err := io.ReadFull(response.Body, message); err != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}
