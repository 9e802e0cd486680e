package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/vow-os/vow/kit/atomicfile"
)

// Agent is what the agent of a data directory needs to know. It is a file, not a command line: the supervisor starts the same command again and again, and the services may have moved.
type Agent struct {
	Computer   string `json:"computer"`
	Partitions int    `json:"partitions"`
	Master     string `json:"master"`
	Scheduler  string `json:"scheduler"`
	Promise    string `json:"promise"`
	// Admin is its admin port; empty for none.
	Admin string `json:"admin,omitempty"`
}

// agentFile and agentPID are in the data directory.
const (
	agentFile = "agent.json"
	agentPID  = "agent.pid"
)

// write stores what the agent needs.
func (a Agent) write(d *directory) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(d.join(agentFile), append(data, '\n'), 0o600)
}

// ReadAgent reads what the agent of a data directory needs to know.
func ReadAgent(dir string) (Agent, error) {
	data, err := os.ReadFile(filepath.Join(dir, agentFile))
	if err != nil {
		return Agent{}, fmt.Errorf("cannot read the agent's configuration: %w; `vow up` writes it", err)
	}
	var a Agent
	if err := json.Unmarshal(data, &a); err != nil {
		return Agent{}, fmt.Errorf("cannot read the agent's configuration %s: %w", filepath.Join(dir, agentFile), err)
	}
	return a, nil
}

// NotePID says which process the agent of a data directory is.
func NotePID(dir string) error {
	return os.WriteFile(filepath.Join(dir, agentPID), []byte(strconv.Itoa(os.Getpid())), 0o600)
}

// stopAgent ends the running agent of a data directory; none is no error.
func stopAgent(d *directory) error {
	pid, running := runningAgent(d)
	if !running {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// runningAgent is the process that noted itself as the agent, if it still is: a process id may be another's by now.
func runningAgent(d *directory) (pid int, running bool) {
	data, noteErr := os.ReadFile(d.join(agentPID))
	pid, numberErr := strconv.Atoi(string(data))
	command, procErr := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if errors.Join(noteErr, numberErr, procErr) != nil {
		return 0, false
	}
	return pid, strings.HasSuffix(string(command), "\x00agent\x00--data\x00"+d.path+"\x00")
}

// nodeSocket is the local socket of the agent of a data directory.
func nodeSocket(dir string) string { return filepath.Join(dir, "node", "node.sock") }
