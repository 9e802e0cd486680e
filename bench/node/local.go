package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/wait"
)

// patience bounds every wait.
const patience = 2 * time.Minute

// local is a `vow up` of our own, in a folder of its own, on free ports.
type local struct {
	dir, data, executable string
	env                   []string
	cmd                   *exec.Cmd
	log                   bytes.Buffer
}

// up builds vow and starts it.
func up(ctx context.Context, dir string, partitions int) (*local, error) {
	l := &local{dir: dir, data: filepath.Join(dir, "data"), executable: filepath.Join(dir, "vow")}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", l.executable, "github.com/vow-os/vow/vow").CombinedOutput(); err != nil { //nolint:gosec // our own
		return nil, fmt.Errorf("cannot build vow: %w\n%s", err, out)
	}
	l.env = append(os.Environ(), "VOW_NODE_ADDRESS=")
	for _, service := range []string{"MASTER", "SCHEDULER", "PROMISE"} {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		l.env = append(l.env, fmt.Sprintf("VOW_%s_ADDRESS=127.0.0.1:%d", service, port))
	}
	l.cmd = exec.CommandContext(context.WithoutCancel(ctx), l.executable, "up", "--data", l.data, "--bare", "--no-admin", "--console", "", //nolint:gosec // our own
		"--computer", "bench", "--partitions", strconv.Itoa(partitions))
	l.cmd.Env, l.cmd.Stdout, l.cmd.Stderr = l.env, &l.log, &l.log
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start vow up: %w", err)
	}
	return l, l.await(ctx, "the computer is registered", func() error {
		_, err := l.vow(ctx, "computer", "bench")
		return err
	})
}

func (l *local) stop() error {
	_ = l.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("vow up: %w\n%s", err, l.log.String())
	}
	return nil
}

func (l *local) vow(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, l.executable, append([]string{"--data", l.data}, args...)...) //nolint:gosec // our own
	cmd.Env = l.env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("vow %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

func (l *local) await(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if wait.For(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("cannot say that %s: %w\n%s", what, err, l.log.String())
		}
	}
}

// release supplies a release with a profile to the computer.
func (l *local) release(name, profile string) (string, error) {
	dir := filepath.Join(l.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a software release is read by others
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "instance.cfg"), []byte(profile), 0o644); err != nil { //nolint:gosec // as above
		return "", err
	}
	_, err := l.vow(context.Background(), "supply", dir, "bench")
	return dir, err
}

// bang bangs a tree and returns how long its convergence took.
func (l *local) bang(ctx context.Context, title string) (time.Duration, error) {
	if _, err := l.vow(ctx, "bang", title, "--wait", "1m"); err != nil {
		return 0, err
	}
	out, err := l.vow(ctx, "trace", title, "-o", "json")
	if err != nil {
		return 0, err
	}
	var convergence struct {
		Duration float64 `json:"duration_seconds"`
	}
	if err := json.Unmarshal(out, &convergence); err != nil || convergence.Duration == 0 {
		return 0, fmt.Errorf("cannot read the answer of vow trace: %w\n%s", err, out)
	}
	return seconds(convergence.Duration), nil
}

// ran is the latest run of an instance.
type ran struct {
	Duration float64 `json:"duration_seconds"`
	Changed  bool    `json:"changed"`
}

func (r ran) took() time.Duration { return seconds(r.Duration) }

func (l *local) latest(ctx context.Context, title string) (ran, error) {
	out, err := l.vow(ctx, "tree", title, "-o", "json")
	if err != nil {
		return ran{}, err
	}
	var tree struct {
		Instances []struct {
			Status struct {
				Latest ran `json:"latest"`
			} `json:"status"`
		} `json:"instances"`
	}
	if err := json.Unmarshal(out, &tree); err != nil || len(tree.Instances) != 1 {
		return ran{}, fmt.Errorf("cannot read the answer of vow tree: %w\n%s", err, out)
	}
	return tree.Instances[0].Status.Latest, nil
}

// used is what the agent uses.
type used struct {
	pid, pss, rss int
	ticks         int // user and system, as /proc/PID/stat counts them
	cpu           time.Duration
}

func (l *local) agent(ctx context.Context) (u used, err error) {
	err = l.await(ctx, "there is an agent", func() error {
		content, err := os.ReadFile(filepath.Join(l.data, "agent.pid"))
		if err == nil {
			u.pid, err = strconv.Atoi(string(content))
		}
		return err
	})
	if err != nil {
		return u, err
	}
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", u.pid))
	if err != nil {
		return u, err
	}
	for text := range strings.Lines(string(rollup)) {
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.Atoi(fields[1])
		switch fields[0] {
		case "Pss:":
			u.pss = kilobytes << 10
		case "Rss:":
			u.rss = kilobytes << 10
		}
	}
	// Nanoseconds on a processor, of each thread; /proc/PID/stat counts ticks of 10 ms.
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", u.pid))
	if err != nil {
		return u, err
	}
	for _, path := range threads {
		content, err := os.ReadFile(path) //nolint:gosec // in /proc
		if err != nil {
			continue // the thread ended
		}
		nanoseconds, _, _ := strings.Cut(string(content), " ")
		n, _ := strconv.ParseInt(nanoseconds, 10, 64)
		u.cpu += time.Duration(n)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", u.pid))
	if err != nil {
		return u, err
	}
	for _, field := range strings.Fields(string(stat))[13:15] { // the name of vow has no space
		n, _ := strconv.Atoi(field)
		u.ticks += n
	}
	return u, nil
}

// settling is how long after the last request the last reports and the supervisor's journal are written.
const settling = 15 * time.Second

// steady measures the agent over a time in which nothing is asked of it, once it is at rest: what it uses at the end, and how
// much CPU it has taken meanwhile.
func (l *local) steady(ctx context.Context, during time.Duration) (last, grown used, err error) {
	if err := wait.For(ctx, settling); err != nil {
		return last, grown, err
	}
	first, err := l.agent(ctx)
	if err != nil {
		return last, grown, err
	}
	if err := wait.For(ctx, during); err != nil {
		return last, grown, err
	}
	if last, err = l.agent(ctx); err != nil {
		return last, grown, err
	}
	if first.pid != last.pid {
		return last, grown, fmt.Errorf("cannot measure: the agent was started again")
	}
	return last, used{ticks: last.ticks - first.ticks, cpu: last.cpu - first.cpu}, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("cannot find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}
