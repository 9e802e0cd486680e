package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
)

// Config is what a user sets.
type Config struct {
	// Dir holds the journal, the lock and the control socket. It is made if need be, closed to others.
	Dir string
	// Agent is the command line of the agent, the executable first; empty = no agent is kept running.
	Agent []string
	// Cgroup is the cgroup of version 2 below which limited services have theirs; empty = the supervisor's own. Where a
	// process of systemd's is put into the supervisor's own, as when it is started again, groups cannot be made there.
	Cgroup string
	// Log takes the supervisor's own log.
	Log *slog.Logger
	// Executable and Args are what a re-execution runs.
	Executable string
	Args       []string

	since  time.Time
	before precedence
}

// lockPatience is how long the lock of an earlier supervisor may outlive it: one that is killed between the fork and the
// exec of a stub leaves it to that stub, until its exec.
const lockPatience = 500 * time.Millisecond

// ErrLocked says that another supervisor has the folder.
var ErrLocked = errors.New("another supervisor is running on it")

// Run is the supervisor's life: it takes over what an earlier one left, keeps everything running, and returns when all
// has been stopped after SIGTERM, SIGINT or a shutdown call. A re-execution (SIGUSR2 or a call) does not return.
func Run(cfg Config) error {
	cfg.since = time.Now()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make folder %s: %w", cfg.Dir, cause(err))
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return fmt.Errorf("cannot find folder %s: %w", cfg.Dir, err)
	}
	left := takeInheritance()
	cfg.before = takePrecedence(left.before)
	lock, err := lockDir(dir, left.lock)
	if err != nil {
		return err
	}
	defer lock.Close()

	// From here on signals have a meaning. SIGHUP has none: the terminal may go. SIGPIPE is for a log that nobody reads.
	// Deaths have a channel of their own, where one signal stands for all, so that many do not push out a SIGTERM.
	signals, deaths := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGUSR2, unix.SIGHUP, unix.SIGPIPE)
	signal.Notify(deaths, unix.SIGCHLD)
	defer signal.Stop(signals)
	defer signal.Stop(deaths)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		cfg.Log.Warn("orphans of services will not be reaped by the supervisor", "error", err)
	}
	listener, err := listen(dir, left.listener)
	if err != nil {
		return err
	}
	defer listener.Close()

	for {
		reexec, err := live(cfg, dir, listener, signals, deaths)
		if err != nil {
			return err
		}
		if !reexec {
			_ = os.Remove(supervisorapi.SocketPath(dir))
			return nil
		}
		// Only a failure comes back; then the journal and our children are still here, and life goes on.
		cfg.Log.Error("cannot re-execute the supervisor, the running one goes on", "error", reexecute(cfg, lock, listener))
	}
}

// live is one life between two re-executions.
func live(cfg Config, dir string, listener *net.UnixListener, signals, deaths <-chan os.Signal) (reexec bool, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := newMachine(ctx, cfg, dir)
	if err != nil {
		return false, err
	}
	defer m.journal.close()
	c := &control{listener: listener, machine: m, conns: map[net.Conn]bool{}}
	c.done.Add(1)
	go c.serve()
	reexec = m.loop(signals, deaths)
	cancel()
	c.close()
	return reexec, nil
}

// lockDir makes this supervisor the only one of the folder. The lock ends with the last process that has the file open,
// and no child ever has.
func lockDir(dir string, inherited *os.File) (*os.File, error) {
	if inherited != nil {
		return inherited, nil
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, cause(err))
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for patience := time.Now().Add(lockPatience); errors.Is(err, unix.EWOULDBLOCK) && time.Now().Before(patience); {
		<-time.After(10 * time.Millisecond)
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("cannot supervise %s: %w", dir, err)
	}
	return file, nil
}
