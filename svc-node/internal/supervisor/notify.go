package supervisor

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What systemd says to the process that it starts, and to none that this one starts: some of it differs at each start,
// which would make the agent another one after each.
const (
	notifySocket  = "NOTIFY_SOCKET"
	watchdogTime  = "WATCHDOG_USEC"
	watchdogOwner = "WATCHDOG_PID"
)

var forUsAlone = []string{notifySocket, watchdogTime, watchdogOwner, "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"}

// notify tells whoever started us, if it wants to hear, what sd_notify(3) says. It is a datagram to pid 1, which waits for nothing of ours.
func notify(state string) {
	path := os.Getenv(notifySocket)
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // nothing of it is kept
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte(state))
}

// watchdog is how often the loop has to say that it goes round, a third of the time after which systemd replaces us; 0 =
// nobody wants to hear.
func watchdog() time.Duration {
	if owner := os.Getenv(watchdogOwner); owner != "" && owner != strconv.Itoa(os.Getpid()) {
		return 0
	}
	micros, err := strconv.ParseInt(os.Getenv(watchdogTime), 10, 64)
	if err != nil || micros <= 0 || os.Getenv(notifySocket) == "" {
		return 0
	}
	return max(time.Millisecond, time.Duration(micros)*time.Microsecond/3)
}

// agentEnvironment is ours without what is for us alone.
func agentEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == markerName || slices.Contains(forUsAlone, name)
	})
}
