package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vow-os/vow/kit/atomicfile"
)

// The fixed loopback addresses of `vow up`.
const (
	Master    = "127.0.0.1:7711"
	Scheduler = "127.0.0.1:7712"
	Promise   = "127.0.0.1:7713"
	Console   = "127.0.0.1:7714"
)

// The fixed loopback addresses of the admin ports (metrics, profiles, readiness).
const (
	MasterAdmin    = "127.0.0.1:7721"
	SchedulerAdmin = "127.0.0.1:7722"
	PromiseAdmin   = "127.0.0.1:7723"
	ConsoleAdmin   = "127.0.0.1:7724"
	NodeAdmin      = "127.0.0.1:7725"
)

// fileName is the endpoints file in the data directory of `vow up`.
const fileName = "endpoints.json"

// Set is where to find each service: host:port, or unix:/path for the node.
type Set struct {
	Master    string `json:"master"`
	Scheduler string `json:"scheduler"`
	Promise   string `json:"promise"`
	// Console is where the web console is; empty where there is none.
	Console string `json:"console,omitempty"`
	// Node is the node's local socket; empty where there is none.
	Node string `json:"node,omitempty"`
	// Computer is the name under which the local node is registered.
	Computer string `json:"computer,omitempty"`
	// PID is the process of `vow up`.
	PID int `json:"pid,omitempty"`
}

// Directory is the data directory: dir, or `$XDG_STATE_HOME/vow`, or `~/.local/state/vow`.
func Directory(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "vow"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("cannot find a data directory: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "state", "vow"), nil
}

// Find returns where the services are: flags over environment over the file in dir, if there is a dir, over the fixed ports.
func Find(dir string, flags Set) (Set, error) {
	found := Set{Master: Master, Scheduler: Scheduler, Promise: Promise}
	var data []byte
	err := fs.ErrNotExist
	if dir != "" {
		data, err = os.ReadFile(filepath.Join(dir, fileName))
	}
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &found); err != nil {
			return Set{}, fmt.Errorf("cannot read %s: %w; remove it, or name addresses with --master, --scheduler and --promise", filepath.Join(dir, fileName), err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return Set{}, fmt.Errorf("cannot read endpoints: %w", err)
	}
	return found.over(environment()).over(flags), nil
}

// environment is what the environment says.
func environment() Set {
	return Set{
		Master: os.Getenv("VOW_MASTER_ADDRESS"), Scheduler: os.Getenv("VOW_SCHEDULER_ADDRESS"),
		Promise: os.Getenv("VOW_PROMISE_ADDRESS"), Node: os.Getenv("VOW_NODE_ADDRESS"),
	}
}

// Written tells whether dir has an endpoints file: a `vow up` runs on it, or was killed.
func Written(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, fileName))
	return err == nil
}

// Any tells whether flags or the environment name anything.
func (s Set) Any() bool { return s.over(environment()) != Set{} }

// over returns s with what is set in other.
func (s Set) over(other Set) Set {
	for _, p := range []struct{ to, from *string }{
		{&s.Master, &other.Master}, {&s.Scheduler, &other.Scheduler}, {&s.Promise, &other.Promise}, {&s.Node, &other.Node},
	} {
		if *p.from != "" {
			*p.to = *p.from
		}
	}
	return s
}

// Write stores the set in dir for the commands that come later.
func (s Set) Write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, fileName), append(data, '\n'), 0o600)
}

// Remove forgets the set; no file is no error.
func Remove(dir string) error {
	err := os.Remove(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
