package supervisor

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watchAdopted calls ended when a process that is not our child has ended. It costs a goroutine and a file, no thread: a
// pidfd becomes readable when its process ends.
func watchAdopted(pid int, wantIdentity, boot string, ended func()) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	// Only now is the PID pinned: look again whether it still is the same process.
	if stat, err := readStat(pid); err != nil || identity(boot, stat) != wantIdentity {
		_ = file.Close()
		return fmt.Errorf("cannot watch process %d: it has ended", pid)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	go func() {
		defer file.Close()
		err := raw.Read(func(fd uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(ready, 0)
			return err == nil && n > 0
		})
		if err == nil {
			ended()
		}
	}()
	return nil
}

// alarm is a timer that fires at the given time, or never.
type alarm struct{ timer *time.Timer }

func newAlarm() alarm {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return alarm{timer}
}

// set moves the alarm; ok = false turns it off.
func (a alarm) set(due time.Time, ok bool) {
	if !ok {
		a.timer.Stop()
		return
	}
	a.timer.Reset(max(0, time.Until(due)))
}
