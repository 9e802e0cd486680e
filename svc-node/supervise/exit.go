package supervise

import (
	"fmt"
	"time"
)

// Exit is the end of one process, as it goes into the journal and to the agent.
type Exit struct {
	// Seq is the place in the journal, given when it is written: 1, 2, 3… without gaps, for the life of the journal.
	Seq uint64 `json:"seq"`
	Key
	Kind Kind `json:"kind"`
	// Incarnation tells the processes of one key apart; it grows.
	Incarnation uint64 `json:"incarnation"`
	// PID is 0 if the process never came to be.
	PID int `json:"pid"`
	// At is when the end was noticed. Uptime is since the process ran; 0 if it never did.
	At     time.Time     `json:"at"`
	Uptime time.Duration `json:"uptime_ns"`
	Ending Ending        `json:"ending"`
	// Watched asks for a bang: the process is watched and nobody asked for the end.
	Watched bool `json:"watched"`
	// Asked says that a stop, a change of definition or a shutdown caused the end.
	Asked bool `json:"asked"`
	// Reason is the end in words: "killed by SIGKILL after 42 s".
	Reason string `json:"reason"`
}

// Ending is how a process ended. Exactly one of the four ways is set: Unknown, Failed, Signal, or none of them, which
// is an exit with Code.
type Ending struct {
	// Code is the exit code, 0 to 255.
	Code int `json:"code"`
	// Signal is the number of the signal that killed it; 0 = none.
	Signal int  `json:"signal,omitempty"`
	Core   bool `json:"core,omitempty"`
	// Failed is why it could not be started at all.
	Failed string `json:"failed,omitempty"`
	// Unknown says that it was not our child when it ended: it had been adopted from an earlier supervisor, or ended
	// while there was none. Only its parent learns how a process ended.
	Unknown bool `json:"unknown,omitempty"`
	// Memory is the limit in bytes beyond which the kernel killed it; 0 = it was not that.
	Memory int64 `json:"memory,omitempty"`
	// Left is how many processes it left behind outside of its group, as a daemon does; they were killed.
	Left int `json:"left,omitempty"`
}

// Words tells the ending after the given uptime.
func (e Ending) Words(uptime time.Duration) string {
	words := e.words(uptime)
	switch {
	case e.Left == 1:
		words += "; a process that it left in the background was killed"
	case e.Left > 1:
		words += fmt.Sprintf("; %d processes that it left in the background were killed", e.Left)
	}
	if e.Left > 0 && e.Signal == 0 && e.Code == 0 { // most likely a daemon, as one starts it without a supervisor
		words += ": a service must stay in the foreground"
	}
	return words
}

func (e Ending) words(uptime time.Duration) string {
	switch {
	case e.Failed != "":
		return e.Failed
	case e.Unknown:
		return "ended after " + duration(uptime) + ", how is unknown: adopted"
	case e.Memory > 0:
		return fmt.Sprintf("out of memory after %s: it needed more than its limit of %d MiB", duration(uptime), e.Memory>>20)
	case e.Signal != 0 && e.Core:
		return "killed by " + SignalName(e.Signal) + " after " + duration(uptime) + " (core dumped)"
	case e.Signal != 0:
		return "killed by " + SignalName(e.Signal) + " after " + duration(uptime)
	}
	return fmt.Sprintf("exit %d after %s", e.Code, duration(uptime))
}

// duration writes a time span the way an operator says it: one unit, no fractions.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// SignalName is the name of a Linux signal number, the same on all our architectures.
func SignalName(signal int) string {
	names := [...]string{
		1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
		10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT",
		19: "SIGSTOP", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
	}
	if signal > 0 && signal < len(names) && names[signal] != "" {
		return names[signal]
	}
	return fmt.Sprintf("signal %d", signal)
}
