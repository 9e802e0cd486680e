package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/tiltfile"
)

// process is the first of a process group of its own, or a task of ours.
type process struct {
	id int
	// cancel ends a task; nil for others.
	cancel context.CancelFunc
	ended  chan struct{}
	// err is why it ended; after ended is closed.
	err error
}

// environment is what Tilt gives every command, over its own and under the command's.
func environment(c tiltfile.Command) []string {
	tilts := []string{"LINES=24", "COLUMNS=80", "FORCE_COLOR=1", "TILT_HOST=localhost", "TILT_PORT=0", "TILT_DISABLE_ANALYTICS=1"}
	return append(append(os.Environ(), tilts...), c.Environment...)
}

// start runs a command; what it says goes to a file, so that nothing waits for a child of it that holds a pipe.
func start(c tiltfile.Command, log *os.File) (*process, error) {
	cmd := exec.Command(c.Arguments[0], c.Arguments[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.Directory, environment(c), log, log
	// Tilt has no Pdeathsig: it is for a session that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{id: cmd.Process.Pid, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		p.signal(syscall.SIGKILL) // what is left of its group
		close(p.ended)
	}()
	return p, nil
}

// task does what is no program of its own.
func task(over context.Context, do func(context.Context) error) *process {
	ctx, cancel := context.WithCancel(over)
	p := &process{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer cancel()
		p.err = do(ctx)
	}()
	return p
}

func (p *process) signal(s syscall.Signal) {
	_ = syscall.Kill(-p.id, s) // an error is a group that has ended
}

// stop ends the group: politely, and after a while by force. It says whether force was needed.
func (p *process) stop(grace time.Duration) (forced bool) {
	select {
	case <-p.ended:
		return false
	default:
	}
	if p.cancel != nil {
		p.cancel()
		<-p.ended
		return false
	}
	p.signal(syscall.SIGTERM)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.ended:
		return false
	case <-late.C:
		p.signal(syscall.SIGKILL)
		<-p.ended
		return true
	}
}

// ask asks once whether a process is ready.
func ask(ctx context.Context, p tiltfile.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	if p.URL == "" {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", p.Address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("%s says %s", p.URL, response.Status)
	}
	return nil
}

// client goes to this machine by no proxy, and keeps no connection: a probe shall see whether a new one is taken.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// watch tells each change of readiness until the context ends.
func watch(ctx context.Context, p tiltfile.Probe, changed func(ready bool, why error)) {
	ready, good, bad := false, 0, 0
	timer := time.NewTimer(p.Delay)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := ask(ctx, p)
		if err == nil {
			good, bad = good+1, 0
		} else {
			good, bad = 0, bad+1
		}
		switch {
		case ctx.Err() != nil:
			return
		case !ready && good >= p.SuccessThreshold:
			ready = true
			changed(true, nil)
		case ready && bad >= p.FailureThreshold:
			ready = false
			changed(false, err)
		}
		timer.Reset(p.Period)
	}
}

// reason is the end of a process in words.
func reason(err error) error {
	if err == nil {
		return errors.New("exited with exit code 0")
	}
	return err
}
