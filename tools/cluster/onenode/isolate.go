package onenode

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

// stageVariable tells a process which of three it is: unset, the one outside; first, the first process of the namespaces; inside, the one that does the work there.
const stageVariable = "VOW_KUBERNETES_STAGE"

// cgroups is where the machine has its hierarchies, and where we have ours.
const cgroups = "/sys/fs/cgroup"

// Stage runs outside, here; or, in the namespaces that outside made, inside. Both get the command's own arguments. It returns the code to exit with.
func Stage(outside, inside func() int) int {
	switch os.Getenv(stageVariable) {
	case "":
		return outside()
	case "first":
		return first()
	default:
		return inside()
	}
}

// Isolate starts this program again in namespaces and cgroups of its own, and waits for its end; when the context ends, all that is in there is killed.
func Isolate(ctx context.Context) (code int, err error) {
	// The children of a thread get their signal when the thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	leave, err := enter("vow-kubernetes-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	command := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), stageVariable+"=first")
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP,
		Setpgid:    true, Pdeathsig: syscall.SIGKILL,
	}
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), nil
	}
	return 0, errors.Join(err, ctx.Err())
}

// enter puts this process into a new cgroup of each hierarchy; leave takes it back, and removes them with all that was made below.
func enter(name string) (leave func() error, err error) {
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	type move struct{ from, to string }
	var moves []move
	leave = func() error {
		var failed error
		for _, m := range moves {
			failed = errors.Join(failed, join(m.from), remove(m.to))
		}
		return failed
	}
	for line := range strings.Lines(strings.TrimSpace(string(memberships))) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || fields[1] == "" { // version 2
			continue
		}
		root := filepath.Join(cgroups, strings.TrimPrefix(fields[1], "name="))
		m := move{filepath.Join(root, fields[2]), filepath.Join(root, fields[2], name)}
		if err := os.Mkdir(m.to, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot make a cgroup: %w", err), leave())
		}
		moves = append(moves, m)
		if fields[1] == "cpuset" { // it has no processors before it is told
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				value, err := os.ReadFile(filepath.Join(m.from, file))
				if err == nil {
					err = os.WriteFile(filepath.Join(m.to, file), value, 0o644)
				}
				if err != nil {
					return nil, errors.Join(fmt.Errorf("cannot give the cgroup its processors: %w", err), leave())
				}
			}
		}
		if err := join(m.to); err != nil {
			return nil, errors.Join(err, leave())
		}
	}
	if len(moves) == 0 {
		return nil, errors.New("cannot run Kubernetes here: this machine has no cgroup hierarchies of version 1, and no other is supported; kind and k3d are for the others")
	}
	return leave, nil
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
func first() int {
	// Not appended to the environment: of two values the first counts, and each first process would start another.
	err := os.Setenv(stageVariable, "inside")
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
