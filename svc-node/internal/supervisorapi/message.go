package supervisorapi

import (
	"path/filepath"
	"time"

	"github.com/vow-os/vow/svc-node/supervise"
)

// MaxLine is the longest request or reply line in bytes: a partition with MaxProcesses processes of ordinary size.
const MaxLine = 8 << 20

// SocketPath is where the supervisor of a folder listens.
func SocketPath(dir string) string { return filepath.Join(dir, "supervisor.sock") }

// The commands. All but Subscribe are idempotent.
const (
	// Apply replaces the wanted processes of Request.Partition by Request.Processes and answers at once, when that is
	// recorded; Settle waits for the result.
	Apply = "apply"
	// Settle answers when no process of Request.Partition is being started or stopped, with the partition's units. A
	// process that waits for its next try counts as settled.
	Settle = "settle"
	// Start, Stop and Restart act on one process until the next Apply of its partition. Partition "" and name "agent" is
	// the agent.
	Start   = "start"
	Stop    = "stop"
	Restart = "restart"
	// List answers with the units of Request.Partition, or all if it is empty.
	List = "list"
	// Subscribe answers with the journal's position, then with each exit after Request.Seq that is not acknowledged.
	Subscribe = "subscribe"
	// Ack acknowledges all exits up to Request.Seq.
	Ack = "ack"
	// Shutdown stops everything, agent first, and answers when nothing runs any more.
	Shutdown = "shutdown"
	// Reexec replaces the supervisor by its executable as it is on disk now; the connection ends. No process notices.
	Reexec = "reexec"
)

// Request is one line to the supervisor.
type Request struct {
	Do        string              `json:"do"`
	Partition string              `json:"partition,omitempty"`
	Name      string              `json:"name,omitempty"`
	Processes []supervise.Process `json:"processes,omitempty"`
	Seq       uint64              `json:"seq,omitempty"`
}

// Reply is one line from the supervisor.
type Reply struct {
	// Error is empty on success; otherwise it starts with "cannot" and nothing has changed.
	Error      string          `json:"error,omitempty"`
	Units      []Status        `json:"units,omitempty"`
	Supervisor *Info           `json:"supervisor,omitempty"`
	Exit       *supervise.Exit `json:"exit,omitempty"`
}

// Status is one unit with what its process uses.
type Status = supervise.Status

// Info is the supervisor about itself.
type Info struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	Boot  string    `json:"boot"`
	// Marker is the first part of VOW_SUPERVISED in the environment of all processes of this supervisor.
	Marker string `json:"marker"`
	// Last is the number of the latest exit, Acked the number up to which they are acknowledged. Dropped counts exits
	// that were thrown away unacknowledged because the journal was full.
	Last    uint64 `json:"last"`
	Acked   uint64 `json:"acked"`
	Dropped uint64 `json:"dropped"`
	// Orphans counts descendants of services that were reaped after their parents had died.
	Orphans uint64 `json:"orphans"`
	// Problem says what does not work, for example that the disk is full; empty = nothing.
	Problem string `json:"problem,omitempty"`
}
