package install

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe"
)

// fakeWorld is a master and a machine in memory. Instances are ready once they are in connections.
type fakeWorld struct {
	connections map[string]map[string]string
	requests    []recipe.Request
	published   map[string]string
	publishes   int
	commands    []string
	pythons     int
	failing     map[string]error
	random      io.Reader
	port        int
	// shared is what is published for shared instances, by reference.
	shared map[string]map[string]string
	// directory is where programs are executed; empty = nowhere.
	directory string
}

func newFakeWorld() *fakeWorld {
	return &fakeWorld{connections: map[string]map[string]string{}, random: rand.NewChaCha8([32]byte{1}), port: 20000, failing: map[string]error{}}
}

func (w *fakeWorld) Request(_ context.Context, r recipe.Request) (recipe.Instance, error) {
	w.requests = append(w.requests, r)
	connection, ok := w.connections[r.Title]
	return recipe.Instance{Ready: ok, Reason: "not allocated", Connection: connection, GUID: "t1.i" + r.Title, State: "started"}, nil
}

func (w *fakeWorld) Published(_ context.Context, shared string) (map[string]string, error) {
	if shared != "" {
		return maps.Clone(w.shared[shared]), nil
	}
	return maps.Clone(w.published), nil
}

func (w *fakeWorld) Publish(_ context.Context, shared string, parameters map[string]string) error {
	if shared != "" {
		if w.shared == nil {
			w.shared = map[string]map[string]string{}
		}
		w.shared[shared] = maps.Clone(parameters)
	} else {
		w.published = maps.Clone(parameters)
	}
	w.publishes++
	return nil
}

func (w *fakeWorld) FreePort(_ context.Context, want recipe.Port) (int, error) {
	if want.Kept != 0 {
		return want.Kept, nil
	}
	w.port++
	return w.port, nil
}

func (w *fakeWorld) Random() io.Reader { return w.random }

func (w *fakeWorld) Exec(_ context.Context, command string) error {
	w.commands = append(w.commands, command)
	if err := w.failing[command]; err != nil {
		return fmt.Errorf("exit status 1: %w", err)
	}
	return nil
}

// Python really runs it.
func (w *fakeWorld) Python(ctx context.Context, program string, input []byte) ([]byte, error) {
	w.pythons++
	return readyWorld{directory: w.directory}.Python(ctx, program, input)
}

// Execute really runs the program when the fake has a directory to run it in.
func (w *fakeWorld) Execute(ctx context.Context, program string, arguments ...string) error {
	w.commands = append(w.commands, program+" "+strings.Join(arguments, " "))
	if w.directory == "" {
		return w.failing[program]
	}
	c := exec.CommandContext(ctx, program, arguments...)
	c.Dir = w.directory
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
