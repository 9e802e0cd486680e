package pythonhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	// startTimeout is how long a host may take to import what it needs.
	startTimeout = 20 * time.Second
	// patience is how much longer than a promise's own time its answer may take; then the host itself hangs.
	patience = 10 * time.Second
	// writeTimeout bounds the writing of a request: a host reads all the time unless it hangs.
	writeTimeout = 5 * time.Second
	// keptStderr is how much of what a host complains about is told when it dies.
	keptStderr = 2000
)

// errDied is what calls end with when their host ends before it answered.
var errDied = errors.New("the Python host ended")

// host is one running vowhost.py.
type host struct {
	cmd    *exec.Cmd
	conn   net.Conn
	stderr *bounded
	// ended is closed when the process is gone and all calls were told; reason says why it went.
	ended  chan struct{}
	reason string

	write sync.Mutex // one message at a time

	mu    sync.Mutex
	calls map[uint64]chan *answer // nil after the end
	used  time.Time
}

// startHost runs vowhost.py as a user and waits until it is ready.
func startHost(ctx context.Context, interpreter, modules string, paths []string, u privilege.User) (*host, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot start the Python host: %w", err)
	}
	theirs, ours := os.NewFile(uintptr(pair[1]), "python host"), os.NewFile(uintptr(pair[0]), "python host")
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, fmt.Errorf("cannot start the Python host: %w", err)
	}
	h := &host{conn: conn, stderr: &bounded{}, ended: make(chan struct{}), calls: map[uint64]chan *answer{}, used: time.Now()}
	args := append([]string{"-I", modules + "/vowhost.py", modules, "3"}, paths...)
	h.cmd = exec.Command(interpreter, args...) //nolint:gosec // it outlives the call that starts it; the interpreter was checked
	h.cmd.Dir, h.cmd.Stderr, h.cmd.ExtraFiles = "/", h.stderr, []*os.File{theirs}
	h.cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	h.cmd.WaitDelay = time.Second // what holds its standard error after its end is a process that escaped
	err = u.Start(h.cmd)
	_ = theirs.Close() // else the end of a host that ends at once is not seen
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot start the Python host %s: %w", interpreter, err)
	}
	ready := make(chan *answer, 1)
	h.calls[0] = ready
	go h.read()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		return h, nil
	case <-h.ended:
		return nil, fmt.Errorf("cannot start the Python host %s: %s", interpreter, h.reason)
	case <-timer.C:
		h.kill()
		return nil, fmt.Errorf("cannot start the Python host %s: it is not ready after %s", interpreter, startTimeout)
	case <-ctx.Done():
		h.kill()
		return nil, context.Cause(ctx)
	}
}

// read hands answers to their callers until the host is gone.
func (h *host) read() {
	var failure error
	from := bufio.NewReaderSize(h.conn, 64<<10)
	for {
		a, err := readFrame(from)
		if err != nil {
			failure = err
			break
		}
		h.mu.Lock()
		waiting := h.calls[a.ID]
		delete(h.calls, a.ID)
		h.used = time.Now()
		h.mu.Unlock()
		if waiting != nil {
			waiting <- a
		}
	}
	h.kill() // it may still run, when what it wrote cannot be read
	err := h.cmd.Wait()
	h.reason = strings.TrimSpace(h.stderr.String())
	if h.reason == "" && err != nil {
		h.reason = err.Error()
	}
	if h.reason == "" {
		h.reason = failure.Error()
	}
	h.mu.Lock()
	h.calls = nil
	h.mu.Unlock()
	close(h.ended)
}

// call sends a request and waits for its answer, for the end of the host, or for ctx.
func (h *host) call(ctx context.Context, r *request) (*answer, error) {
	waiting := make(chan *answer, 1)
	h.mu.Lock()
	if h.calls == nil {
		h.mu.Unlock()
		return nil, errDied
	}
	h.calls[r.ID] = waiting
	h.used = time.Now()
	h.mu.Unlock()
	if err := h.send(r); err != nil {
		if errors.Is(err, errDied) {
			<-h.ended
		}
		h.forget(r.ID)
		return nil, err
	}
	timer := time.NewTimer(time.Duration(r.Timeout*float64(time.Second)) + patience)
	defer timer.Stop()
	select {
	case a := <-waiting:
		return a, nil
	case <-h.ended:
		select {
		case a := <-waiting: // the answer was its last word
			return a, nil
		default:
			return nil, fmt.Errorf("%w: %s", errDied, h.reason)
		}
	case <-timer.C:
		h.kill()
		<-h.ended
		return nil, fmt.Errorf("%w: it did not answer in time", errDied)
	case <-ctx.Done():
		h.forget(r.ID)
		_ = h.send(cancellation{ID: r.ID}) // a host that cannot hear it is about to be found dead
		return nil, context.Cause(ctx)
	}
}

// send writes one message; what cannot be encoded is the message's fault, all else the end of the host.
func (h *host) send(message any) error {
	h.write.Lock()
	defer h.write.Unlock()
	_ = h.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	err := writeFrame(h.conn, message)
	if err == nil {
		return nil
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, syscall.EPIPE) {
		h.kill() // half a message may be on its way, so nothing can follow it
		return errDied
	}
	return err
}

func (h *host) forget(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, id)
}

// kill ends the host with its promises: they ask the kernel to die with it.
func (h *host) kill() {
	_ = h.cmd.Process.Kill() // it is gone already when this fails
	_ = h.conn.Close()
}

// idle tells whether nothing was asked for so long.
func (h *host) idle(since time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls) == 0 && time.Since(h.used) >= since
}

// bounded keeps the end of what is written to it.
type bounded struct {
	mu   sync.Mutex
	kept []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, p[max(0, len(p)-keptStderr):]...)
	b.kept = b.kept[max(0, len(b.kept)-keptStderr):]
	return len(p), nil
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.ToValidUTF8(string(b.kept), "\uFFFD")
}
