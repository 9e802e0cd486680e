package install

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/interpreter"
	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

// Check tells an author, without a node or a master, what is wrong with a profile and what it would deploy: it
// is planned in an empty directory, as if every instance it requests were ready. What only a request tells reads
// "title:parameter". With python, the Python that the profile runs to set options is run, in that directory; without, what
// needs those options waits.
func Check(ctx context.Context, file string, env profile.Environment, python bool) (Preview, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return Preview{}, fmt.Errorf("cannot check %s: %w", file, err)
	}
	dir, err := os.MkdirTemp("", "vow-check-")
	if err != nil {
		return Preview{}, fmt.Errorf("cannot check %s: %w", file, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if env.SoftwareReleaseURL == "" {
		env.SoftwareReleaseURL = file
	}
	if env.ComputerID == "" {
		env.ComputerID = "computer"
	}
	if env.PartitionID == "" {
		env.PartitionID = "slappart0"
	}
	world := readyWorld{}
	if python {
		world = readyWorld{directory: dir, release: filepath.Dir(file)}
	}
	return Plan(ctx, Partition{Directory: dir, ReleaseDirectory: filepath.Dir(file), Profile: file, Environment: env}, world)
}

// readyWorld has everything, and does nothing, unless it is given a directory to run Python in.
type readyWorld struct{ directory, release string }

// Request implements recipe.World.
func (readyWorld) Request(_ context.Context, r recipe.Request) (recipe.Instance, error) {
	connection := map[string]string{}
	for _, name := range r.Return {
		connection[name] = r.Title + ":" + name
	}
	text, err := json.Marshal(connection)
	if err != nil {
		return recipe.Instance{}, fmt.Errorf("cannot make up what %q publishes: %w", r.Title, err)
	}
	connection["_"] = string(text)
	return recipe.Instance{Ready: true, Connection: connection, GUID: r.Title + ":guid", State: "started"}, nil
}

// Published implements recipe.World.
func (readyWorld) Published(context.Context, string) (map[string]string, error) { return nil, nil }

// Publish implements recipe.World.
func (readyWorld) Publish(context.Context, string, map[string]string) error { return nil }

// FreePort implements recipe.World.
func (readyWorld) FreePort(_ context.Context, want recipe.Port) (int, error) { return want.Low, nil }

// Random implements recipe.World: a check keeps no secret.
func (readyWorld) Random() io.Reader {
	return strings.NewReader(strings.Repeat("made up by check", 4096))
}

// Exec implements recipe.World.
func (readyWorld) Exec(context.Context, string) error { return nil }

// Execute implements recipe.World.
func (readyWorld) Execute(context.Context, string, ...string) error { return nil }

// Python implements recipe.World.
func (w readyWorld) Python(ctx context.Context, program string, input []byte) ([]byte, error) {
	if w.directory == "" {
		return nil, fmt.Errorf("%w: it is set by Python, which a check runs only when asked to, with --python", recipe.ErrNotAvailable)
	}
	arguments, environment, err := interpreter.Command(w.release, program)
	if err != nil {
		return nil, fmt.Errorf("cannot run Python: %w", err)
	}
	c := exec.CommandContext(ctx, arguments[0], arguments[1:]...) //nolint:gosec // the profile's own program
	c.Dir, c.Stdin = w.directory, bytes.NewReader(input)
	c.Env = append(environment, "HOME="+w.directory, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8")
	answer, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", arguments[0], err)
	}
	return answer, nil
}
