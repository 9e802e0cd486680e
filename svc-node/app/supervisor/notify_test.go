package supervisor_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is the socket on which systemd hears a service.
func manager(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 100)
		n, err := conn.Read(message)
		if err != nil {
			t.Fatalf("the supervisor says nothing: %v", err)
		}
		return string(message[:n])
	}
}

func TestSystemdHearsThatTheSupervisorIsReadyAndThatItsLoopGoesRound(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	h := newHost(t)
	for _, when := range []string{"at first", "after a re-execution"} {
		if when != "at first" {
			if err := h.client.Reexec(h.ctx); err != nil {
				t.Fatal(err)
			}
		}
		said := heard()
		for when != "at first" && said == "WATCHDOG=1" { // of before
			said = heard()
		}
		if said != "READY=1" {
			t.Errorf("%s it says %q", when, said)
		}
		for range 3 {
			if said := heard(); said != "WATCHDOG=1" {
				t.Errorf("%s it goes on with %q", when, said)
			}
		}
	}
}

// The agent would be another definition after each start of the supervisor, and so be started again.
func TestTheAgentLearnsNothingOfWhatSystemdSaysToTheSupervisor(t *testing.T) {
	manager(t)
	for _, name := range []string{"WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"} {
		t.Setenv(name, "1")
	}
	t.Setenv("VOW_NODE_COMPUTER", "rack1")
	work := t.TempDir()
	pipe := filepath.Join(work, "environment")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	agent := filepath.Join(work, "agent")
	if err := os.WriteFile(agent, []byte("#!/bin/sh\nenv > "+pipe+"\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	newHost(t, "--agent", "--", agent)
	environment := read(t, pipe)
	for line := range strings.Lines(environment) {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "WATCHDOG_") || name == "NOTIFY_SOCKET" || name == "INVOCATION_ID" || name == "JOURNAL_STREAM" || name == "SYSTEMD_EXEC_PID" {
			t.Errorf("the agent has %s", line)
		}
	}
	if !strings.Contains(environment, "VOW_NODE_COMPUTER=rack1\n") {
		t.Errorf("the agent's configuration is missing in %s", environment)
	}
}
