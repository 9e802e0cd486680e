package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// stageVariable tells a process which it is: unset, the one outside; first-WHAT, the first process of namespaces; WHAT, the one that does the work there: of the cluster (inside), of a machine, of who enforces policies on it.
const stageVariable = "VOW_KUBERNETES_STAGE"

const (
	stageFirst   = "first-"
	stageInside  = "inside"
	stageMachine = "machine"
	stageEnforce = "enforce"
)

// cgroups is where the machine has its hierarchies, and where we have ours.
const cgroups = "/sys/fs/cgroup"

// Stage runs outside, here; or, in the namespaces that outside made, inside. Both get the command's own arguments. It returns the code to exit with.
func Stage(outside, inside func() int) int {
	stage := os.Getenv(stageVariable)
	what, isFirst := strings.CutPrefix(stage, stageFirst)
	switch {
	case stage == "":
		return outside()
	case isFirst:
		return first(what)
	case stage == stageMachine:
		return told(machine)
	case stage == stageEnforce:
		return told(enforce)
	default:
		return inside()
	}
}

// Isolate starts this program again in namespaces and cgroups of its own, and waits for its end; when the context ends, all that is in there is killed. Into pidFile goes which process is its first,
// as seen from outside: in there nobody can tell.
func Isolate(ctx context.Context, pidFile string) (code int, err error) {
	// The children of a thread get their signal when the thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := enter("vow-kubernetes-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.leave(), c.remove()) }()
	command := isolated(ctx, stageInside)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := command.Start(); err != nil {
		return 0, err
	}
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(command.Process.Pid)), 0o644); err != nil {
		return 0, errors.Join(err, command.Process.Kill(), command.Wait())
	}
	err = command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), nil
	}
	return 0, errors.Join(err, ctx.Err())
}

// isolated is this program again, in namespaces of its own.
func isolated(ctx context.Context, stage string) *exec.Cmd {
	command := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), stageVariable+"="+stageFirst+stage)
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP,
		Setpgid:    true,
	}
	return command
}

// own is a cgroup of each hierarchy: where this process came from, and where it went.
type own []struct{ from, to string }

// leave takes this process back.
func (c own) leave() (failed error) {
	for _, m := range c {
		failed = errors.Join(failed, join(m.from))
	}
	return failed
}

// remove removes them, with all that was made below.
func (c own) remove() (failed error) {
	for _, m := range c {
		failed = errors.Join(failed, remove(m.to))
	}
	return failed
}

// enter puts this process into a new cgroup of each hierarchy.
func enter(name string) (own, error) {
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var c own
	for line := range strings.Lines(strings.TrimSpace(string(memberships))) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || fields[1] == "" { // version 2
			continue
		}
		from := filepath.Join(cgroups, strings.TrimPrefix(fields[1], "name="), fields[2])
		to := filepath.Join(from, name)
		if err := os.Mkdir(to, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot make a cgroup: %w", err), c.leave(), c.remove())
		}
		c = append(c, struct{ from, to string }{from, to})
		if fields[1] == "cpuset" { // it has no processors before it is told
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				value, err := os.ReadFile(filepath.Join(from, file))
				if err == nil {
					err = os.WriteFile(filepath.Join(to, file), value, 0o644)
				}
				if err != nil {
					return nil, errors.Join(fmt.Errorf("cannot give the cgroup its processors: %w", err), c.leave(), c.remove())
				}
			}
		}
		if err := join(to); err != nil {
			return nil, errors.Join(err, c.leave(), c.remove())
		}
	}
	if len(c) == 0 {
		return nil, errors.New("cannot run Kubernetes here: this machine has no cgroup hierarchies of version 1, and no other is supported; kind and k3d are for the others")
	}
	return c, nil
}

func join(cgroup string) error {
	return os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644)
}

// remove removes a cgroup and those below it; what was in them has ended.
func remove(cgroup string) error {
	entries, err := os.ReadDir(cgroup)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := remove(filepath.Join(cgroup, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(cgroup)
}

// first is the first process of the namespaces: it starts the one that works, takes care of what others leave behind, and ends with the former, and everything with it.
func first(what string) int {
	// Not appended to the environment: of two values the first counts, and each first process would start another.
	err := os.Setenv(stageVariable, what)
	var worker *os.Process
	if err == nil {
		worker, err = os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the first process:", err)
		return 1
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1
		case pid == worker.Pid && status.Exited():
			return status.ExitStatus()
		case pid == worker.Pid:
			return 128 + int(status.Signal())
		}
	}
}
