package supervisor

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/supervise"
)

// A child is created in two steps. The supervisor forks a stub: its own executable under the name stubName, in the
// working directory, session, user and environment of the process to be, with a socket as file 3. The stub waits there
// for one byte, which comes when the process is in the journal, and then becomes the process. The other way, ptrace, would
// spare the stub's start (1 ms) but breaks set-user-id programs and is forbidden in many containers.
const (
	stubName = "vow:waits-for-supervisor"
	gateFile = 3
	released = 'x'
)

// Stub turns this process into the one that the supervisor wants, if it is a stub; otherwise it returns at once. It must
// be the first call of the main function of every executable that hosts a supervisor, and must not be preceded by
// anything slow, since it is a part of each restart.
func Stub() {
	if len(os.Args) < 3 || os.Args[0] != stubName {
		return
	}
	unix.CloseOnExec(gateFile)
	buffer := make([]byte, 1)
	if n, err := readRetry(gateFile, buffer); n != 1 || err != nil || buffer[0] != released {
		os.Exit(125) // the supervisor is gone, or does not want the process any more
	}
	err := syscall.Exec(os.Args[1], os.Args[2:], os.Environ()) //nolint:gosec // what it is for
	var number syscall.Errno
	if e, ok := err.(syscall.Errno); ok { //nolint:errorlint // Exec returns it bare
		number = e
	}
	_, _ = unix.Write(gateFile, []byte(strconv.Itoa(int(number))))
	// The supervisor reads this before it hears of our end, since it closes the gate in answer.
	_, _ = readRetry(gateFile, buffer)
	os.Exit(126)
}

func readRetry(fd int, buffer []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buffer)
		if err != unix.EINTR { //nolint:errorlint // unix returns it bare
			return n, err
		}
	}
}

// gate is the supervisor's end of the socket.
type gate struct{ file *os.File }

// spawn creates a waiting child and returns its PID and its gate.
func spawn(p supervise.Process, env []string, output *os.File) (int, gate, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, gate{}, fmt.Errorf("cannot start it: no socket: %w", err)
	}
	defer unix.Close(pair[1]) //nolint:errcheck // the child has its own copy
	null, err := os.Open(os.DevNull)
	if err != nil {
		_ = unix.Close(pair[0])
		return 0, gate{}, fmt.Errorf("cannot start it: %w", err)
	}
	defer null.Close()
	sys := &syscall.SysProcAttr{Setsid: true}
	if a := p.Account; a != nil && (int(a.UID) != os.Getuid() || int(a.GID) != os.Getgid()) {
		sys.Credential = &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
	}
	argv := p.Argv
	if len(argv) == 0 {
		argv = []string{p.Path}
	}
	pid, err := syscall.ForkExec("/proc/self/exe", slices.Concat([]string{stubName, p.Path}, argv), &syscall.ProcAttr{
		Dir: p.Dir, Env: env, Files: []uintptr{null.Fd(), output.Fd(), output.Fd(), uintptr(pair[1])}, Sys: sys,
	})
	if err != nil {
		_ = unix.Close(pair[0])
		return 0, gate{}, explainFork(p, err)
	}
	if err := unix.SetNonblock(pair[0], true); err != nil { // so that waiting for it costs no thread
		_ = unix.Close(pair[0])
		return 0, gate{}, fmt.Errorf("cannot start it: %w", err)
	}
	return pid, gate{os.NewFile(uintptr(pair[0]), "gate")}, nil
}

// release lets the child become the process.
func (g gate) release() { _, _ = g.file.Write([]byte{released}) }

// result waits for the exec: 0 = the process runs (or was killed before), else why not.
func (g gate) result() syscall.Errno {
	answer := make([]byte, 8)
	n, _ := g.file.Read(answer) // the end of the file is the exec: the socket closes with it
	number, err := strconv.Atoi(string(answer[:n]))
	if err != nil {
		return 0
	}
	return syscall.Errno(number)
}

func (g gate) close() { _ = g.file.Close() }
