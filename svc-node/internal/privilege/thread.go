package privilege

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Umask is that of all that runs for a partition: others read nothing, as slapgrid has it.
const Umask = 0o027

// Do calls fn with the user's access to files and returns its error. It costs a thread: 0.1 ms.
func (u User) Do(fn func() error) error {
	if !u.Switch {
		return fn()
	}
	if err := u.Validate(); err != nil {
		return err
	}
	return onThread(func() error {
		if err := u.become(); err != nil {
			return err
		}
		return fn()
	})
}

// Start starts a command as the user, in a process group of its own: a signal to the negative PID reaches all of it.
func (u User) Start(cmd *exec.Cmd) error {
	if !u.Switch {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd.Start()
	}
	if err := u.Validate(); err != nil {
		return err
	}
	// A session instead of a group alone: whoever shares a terminal with root may type into it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID}}
	return onThread(func() error {
		if err := confine(); err != nil {
			return fmt.Errorf("cannot start %s as %s: %w", cmd.Path, u.Name, err)
		}
		return cmd.Start()
	})
}

// Run starts a command as Start does and waits for it, all on one thread: the kernel kills the command when the agent dies,
// as it would when the thread that started it ends.
func (u User) Run(cmd *exec.Cmd) error {
	if err := u.Validate(); err != nil {
		return err
	}
	return onThread(func() error {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if u.Switch {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID}}
			if err := confine(); err != nil {
				return fmt.Errorf("cannot start %s as %s: %w", cmd.Path, u.Name, err)
			}
		}
		return cmd.Run()
	})
}

// Confine makes the calling thread, which must be locked, and every program that it executes or starts unable to gain
// privileges by executing a set-user-id program.
func Confine() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// confine is what a child inherits from the thread that starts it.
func confine() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // a umask of this thread alone
		return fmt.Errorf("cannot have a umask of its own: %w", err)
	}
	unix.Umask(Umask)
	return Confine()
}

// become gives the calling thread, which must be locked, the effective user, group and groups. Raw calls, since those of
// package syscall speak for all threads. With the effective user the kernel takes all effective capabilities away.
func (u User) become() error {
	const keep = ^uintptr(0)
	for _, call := range []struct {
		what       string
		number     uintptr
		a1, a2, a3 uintptr
	}{
		{"drop its groups", unix.SYS_SETGROUPS, 0, 0, 0},
		{"take its group", unix.SYS_SETRESGID, keep, uintptr(u.GID), keep},
		{"take its user", unix.SYS_SETRESUID, keep, uintptr(u.UID), keep},
	} {
		if _, _, errno := unix.RawSyscall(call.number, call.a1, call.a2, call.a3); errno != 0 {
			return fmt.Errorf("cannot act as %s: cannot %s: %w", u.Name, call.what, errno)
		}
	}
	return nil
}

// onThread calls fn on a thread that ends with it, so that what fn does to the thread stays there. A panic is the caller's.
func onThread(fn func() error) error {
	type outcome struct {
		err      error
		panicked any
		returned bool
	}
	done := make(chan outcome, 1)
	var run func()
	run = func() {
		runtime.LockOSThread() // never unlocked: the runtime ends the thread with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The first thread of a process cannot end, and who it belongs to is who may signal the process: another one,
			// while this one is held.
			other := make(chan struct{})
			go func() { defer close(other); run() }()
			<-other
			runtime.UnlockOSThread()
			return
		}
		var o outcome
		defer func() {
			if !o.returned {
				o.panicked = recover()
			}
			done <- o
		}()
		o.err = fn()
		o.returned = true
	}
	go run()
	o := <-done
	if !o.returned {
		panic(o.panicked)
	}
	return o.err
}
