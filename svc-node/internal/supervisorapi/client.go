package supervisorapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/supervise"
)

// redial is the time between two attempts to reach a supervisor that is being re-executed or restarted; it is back
// within some 20 ms.
const redial = 20 * time.Millisecond

// attempts bounds how often a request is sent.
const attempts = 3

var errLost = errors.New("the connection to the supervisor ended")

// Client speaks with the supervisor of one folder. Each call uses a connection of its own, so a Client needs no closing,
// survives any restart of the supervisor and may be used by several goroutines.
type Client struct {
	dir string
}

// New returns the client of the supervisor of a folder, which need not run yet.
func New(dir string) *Client { return &Client{dir: dir} }

// Dial returns the client of the supervisor of a folder and checks that it answers. It waits for a supervisor that is
// only just starting until ctx ends.
func Dial(ctx context.Context, dir string) (*Client, error) {
	c := New(dir)
	for {
		_, err := c.Info(ctx)
		if err == nil {
			return c, nil
		}
		if wait.For(ctx, redial) != nil {
			return nil, err
		}
	}
}

// Apply replaces the wanted processes of a partition: new ones start, changed ones restart, missing ones stop. An empty
// list stops all. It returns when the supervisor has recorded it; see Settle.
//
// Idempotent. Errors: a definition that is not valid (nothing changes), the supervisor is stopping or away.
func (c *Client) Apply(ctx context.Context, partition string, processes []supervise.Process) error {
	_, err := c.call(ctx, Request{Do: Apply, Partition: partition, Processes: processes})
	return err
}

// Settle waits until no process of the partition is being started or stopped and returns its units, ordered by name. It
// takes at most the longest grace time of the partition's processes, beyond which they are killed.
func (c *Client) Settle(ctx context.Context, partition string) ([]Status, error) {
	reply, err := c.call(ctx, Request{Do: Settle, Partition: partition})
	return reply.Units, err
}

// List returns the units of a partition, or of all if it is empty, ordered by partition and name.
func (c *Client) List(ctx context.Context, partition string) ([]Status, error) {
	reply, err := c.call(ctx, Request{Do: List, Partition: partition})
	return reply.Units, err
}

// Info returns the supervisor's account of itself.
func (c *Client) Info(ctx context.Context) (Info, error) {
	reply, err := c.call(ctx, Request{Do: List, Partition: "-"}) // a partition that is nobody's: no units
	if err != nil {
		return Info{}, err
	}
	if reply.Supervisor == nil {
		return Info{}, errors.New("cannot read the supervisor's reply: it says nothing about itself")
	}
	return *reply.Supervisor, nil
}

// Hand starts, stops or restarts one process, until the next Apply of its partition restores the desired state. The
// agent itself is supervise.AgentKey().
func (c *Client) Hand(ctx context.Context, key supervise.Key, action supervise.Action) error {
	_, err := c.call(ctx, Request{Do: string(action), Partition: key.Partition, Name: key.Name})
	return err
}

// Ack acknowledges all exits up to and including seq; they are not delivered again. Idempotent.
func (c *Client) Ack(ctx context.Context, seq uint64) error {
	_, err := c.call(ctx, Request{Do: Ack, Seq: seq})
	return err
}

// Shutdown stops the agent, then all other processes, and the supervisor. It returns when nothing runs any more.
func (c *Client) Shutdown(ctx context.Context) error {
	_, err := c.call(ctx, Request{Do: Shutdown})
	return err
}

// Reexec replaces the supervisor by its executable as it is on disk, and returns when the new one answers.
func (c *Client) Reexec(ctx context.Context) error {
	before, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if _, err := c.call(ctx, Request{Do: Reexec}); err != nil {
		return err
	}
	for {
		if now, err := c.Info(ctx); err == nil && now.Since.After(before.Since) {
			return nil
		}
		if err := wait.For(ctx, redial); err != nil {
			return fmt.Errorf("cannot re-execute the supervisor of %s: %w", c.dir, err)
		}
	}
}

// Subscribe delivers each exit after number seq that is not acknowledged, in order, then every further one as it
// happens. 0 = from the oldest that is kept. The channel stays open while the supervisor restarts (no exit is missed or
// delivered twice on one channel) and is closed when ctx ends. A receiver that is slow loses nothing: exits wait in the
// journal.
func (c *Client) Subscribe(ctx context.Context, seq uint64) (<-chan supervise.Exit, error) {
	lines, conn, err := c.subscribe(ctx, seq)
	if err != nil {
		return nil, err
	}
	exits := make(chan supervise.Exit)
	go func() {
		defer close(exits)
		for {
			seq = follow(ctx, conn, lines, seq, exits)
			for {
				if wait.For(ctx, redial) != nil {
					return
				}
				if lines, conn, err = c.subscribe(ctx, seq); err == nil {
					break
				}
			}
		}
	}()
	return exits, nil
}

func (c *Client) subscribe(ctx context.Context, seq uint64) (*bufio.Reader, net.Conn, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	lines := bufio.NewReader(conn)
	if _, err := exchange(ctx, conn, lines, Request{Do: Subscribe, Seq: seq}); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return lines, conn, nil
}

// follow passes exits on until the connection ends, and returns the number of the last one.
func follow(ctx context.Context, conn net.Conn, lines *bufio.Reader, seq uint64, exits chan<- supervise.Exit) uint64 {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for {
		reply, err := readReply(lines)
		if err != nil || reply.Exit == nil {
			return seq
		}
		if reply.Exit.Seq <= seq {
			continue
		}
		select {
		case exits <- *reply.Exit:
			seq = reply.Exit.Seq
		case <-ctx.Done():
			return seq
		}
	}
}

// call repeats a request whose connection ended, as all do when the supervisor re-executes itself: requests are
// idempotent.
func (c *Client) call(ctx context.Context, request Request) (Reply, error) {
	for attempt := 1; ; attempt++ {
		conn, err := c.connect(ctx)
		if err != nil {
			return Reply{}, err
		}
		reply, err := exchange(ctx, conn, bufio.NewReader(conn), request)
		_ = conn.Close()
		if !errors.Is(err, errLost) || attempt == attempts {
			return reply, err
		}
		if wait.For(ctx, redial) != nil {
			return reply, err
		}
	}
}

func exchange(ctx context.Context, conn net.Conn, lines *bufio.Reader, request Request) (Reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	line, err := json.Marshal(request)
	if err != nil {
		return Reply{}, fmt.Errorf("cannot write request %s: %w", request.Do, err)
	}
	if len(line) > MaxLine {
		return Reply{}, fmt.Errorf("cannot %s %s: the request has %d bytes, the limit is %d", request.Do, request.Partition,
			len(line), MaxLine)
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return Reply{}, lost(ctx, request, err)
	}
	reply, err := readReply(lines)
	if err != nil {
		return Reply{}, lost(ctx, request, err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

func lost(ctx context.Context, request Request, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("cannot %s: %w: %w", request.Do, errLost, err)
}

func readReply(lines *bufio.Reader) (Reply, error) {
	var reply Reply
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return reply, err
	}
	return reply, json.Unmarshal(line, &reply)
}

// connect goes through /proc/self/fd when the path is too long for a socket address (108 bytes), as temporary folders
// are.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	path, done, err := Address(c.dir)
	if err == nil {
		defer done()
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("cannot reach the supervisor of %s (is it running?): %w", c.dir, err)
}

// Address returns a path of the folder's socket that fits a socket address, and a function to call when it has been
// used.
func Address(dir string) (string, func(), error) {
	path := SocketPath(dir)
	if len(path) <= 100 {
		return path, func() {}, nil
	}
	folder, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	short := SocketPath("/proc/self/fd/" + strconv.Itoa(int(folder.Fd())))
	return short, func() { _ = folder.Close() }, nil
}
