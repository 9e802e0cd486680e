package supervisor

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inheritName tells our next self which files it has from us, the lock and the control socket, which nobody may take or
// miss in between, and what services have for precedence. Everything else it finds in the journal, and our children stay its children.
const inheritName = "VOW_SUPERVISOR_INHERITS"

type inheritance struct {
	lock, listener *os.File
	before         precedence
}

// reexecute replaces the program of this process; it returns only when that fails.
func reexecute(cfg Config, lock *os.File, listener *net.UnixListener) error {
	socket, err := listener.File()
	if err != nil {
		return fmt.Errorf("cannot pass on the control socket: %w", err)
	}
	defer socket.Close()
	files := []int{int(lock.Fd()), int(socket.Fd())}
	for _, fd := range files {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("cannot pass on an open file: %w", err)
		}
		defer unix.CloseOnExec(fd)
	}
	env := append(os.Environ(), fmt.Sprintf("%s=%d,%d,%d,%d,%t", inheritName, files[0], files[1], cfg.before.Nice, cfg.before.OOM, cfg.before.Raised))
	if err := syscall.Exec(cfg.Executable, cfg.Args, env); err != nil {
		return fmt.Errorf("cannot execute %s: %w", cfg.Executable, err)
	}
	return nil
}

// takeInheritance takes the files from the environment, where no child shall see them.
func takeInheritance() inheritance {
	value, ok := os.LookupEnv(inheritName)
	_ = os.Unsetenv(inheritName)
	parts := strings.Split(value, ",")
	if !ok || len(parts) != 5 {
		return inheritance{}
	}
	left := inheritance{lock: inherited(parts[0], "lock"), listener: inherited(parts[1], "control socket")}
	left.before.Nice, _ = strconv.Atoi(parts[2])
	left.before.OOM, _ = strconv.Atoi(parts[3])
	left.before.Raised = parts[4] == "true"
	return left
}

func inherited(number, name string) *os.File {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}
