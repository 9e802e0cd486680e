package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/svc-node/internal/supervisorapi"
	"github.com/vow-os/vow/svc-node/supervise"
)

// maxConnections bounds the control socket's connections: one agent with a few calls at once, and a few operators.
const maxConnections = 64

// call is a request on its way to the loop. The answer never blocks the loop: the channel has room for it.
type call struct {
	request supervisorapi.Request
	reply   chan supervisorapi.Reply
}

func (c call) answer(reply supervisorapi.Reply) { c.reply <- reply }

func (c call) fail(err error) { c.answer(supervisorapi.Reply{Error: err.Error()}) }

// control serves the socket. Its goroutines only carry lines to the loop and back.
type control struct {
	listener *net.UnixListener
	machine  *machine
	done     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool // true = a request is being answered
	closing bool
}

// listen makes the socket, or takes the one that our earlier self left open.
func listen(dir string, inherited *os.File) (*net.UnixListener, error) {
	if inherited != nil {
		defer inherited.Close()
		l, err := net.FileListener(inherited)
		if err != nil {
			return nil, fmt.Errorf("cannot take over the control socket: %w", err)
		}
		return l.(*net.UnixListener), nil
	}
	if err := os.Remove(supervisorapi.SocketPath(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot replace the control socket: %w", err)
	}
	path, done, err := supervisorapi.Address(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make the control socket: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}) // in a folder of mode 0700
	if err != nil {
		return nil, fmt.Errorf("cannot make the control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // a re-execution closes it too
	if err := os.Chmod(supervisorapi.SocketPath(dir), 0o600); err != nil {
		return nil, fmt.Errorf("cannot close the control socket to others: %w", err)
	}
	return l, nil
}

func (c *control) serve() {
	defer c.done.Done()
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			if c.isClosing() || errors.Is(err, net.ErrClosed) {
				return
			}
			select { // out of files, most likely; our children matter more than this call
			case <-time.After(100 * time.Millisecond):
			case <-c.machine.ctx.Done():
			}
			continue
		}
		if c.isClosing() { // our next self will answer; the client calls again
			_ = conn.Close()
			return
		}
		if !c.admit(conn) {
			_ = json.NewEncoder(conn).Encode(supervisorapi.Reply{Error: fmt.Sprintf("cannot serve more than %d connections", maxConnections)})
			_ = conn.Close()
			continue
		}
		go c.talk(conn)
	}
}

func (c *control) admit(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || len(c.conns) >= maxConnections {
		return false
	}
	c.conns[conn] = false
	c.done.Add(1)
	return true
}

func (c *control) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// close ends all conversations, after the answers that are being given. The listener stays open: a re-execution passes
// it on, with the calls that wait there.
func (c *control) close() {
	c.mu.Lock()
	c.closing = true
	for conn, busy := range c.conns {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if !busy {
			_ = conn.Close()
		}
	}
	c.mu.Unlock()
	_ = c.listener.SetDeadline(time.Now()) // wakes Accept
	c.done.Wait()
	_ = c.listener.SetDeadline(time.Time{})
}

// busy marks a conversation; false = the supervisor is closing.
func (c *control) busy(conn net.Conn, busy bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns[conn] = busy
	return !c.closing
}

func (c *control) talk(conn net.Conn) {
	defer c.done.Done()
	defer func() {
		_ = conn.Close()
		c.mu.Lock()
		delete(c.conns, conn)
		c.mu.Unlock()
	}()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, supervisorapi.MaxLine)
	replies := json.NewEncoder(conn)
	for lines.Scan() {
		var request supervisorapi.Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			_ = replies.Encode(supervisorapi.Reply{Error: "cannot read the request: " + err.Error()})
			return
		}
		if request.Do == supervisorapi.Subscribe {
			c.push(conn, lines, replies, request.Seq)
			return
		}
		if !c.busy(conn, true) {
			return
		}
		reply, ok := c.ask(request)
		ok = ok && replies.Encode(reply) == nil
		if !c.busy(conn, false) || !ok {
			return
		}
	}
}

// ask takes a request to the loop and waits for its answer; false = the loop has ended without one, and the connection
// shall end too: if that is a re-execution the client calls again.
func (c *control) ask(request supervisorapi.Request) (supervisorapi.Reply, bool) {
	question := call{request, make(chan supervisorapi.Reply, 1)}
	select {
	case c.machine.calls <- question:
	case <-c.machine.ctx.Done():
		return supervisorapi.Reply{}, false
	}
	select {
	case reply := <-question.reply:
		return reply, true
	case <-c.machine.ctx.Done():
	}
	select { // the answer may have come with the end
	case reply := <-question.reply:
		return reply, true
	default:
		return supervisorapi.Reply{}, false
	}
}

// push writes each exit after seq until the other side leaves.
func (c *control) push(conn net.Conn, lines *bufio.Scanner, replies *json.Encoder, seq uint64) {
	left := make(chan struct{})
	c.done.Add(1)
	go func() { // nothing more is expected from there but the end
		defer c.done.Done()
		defer close(left)
		for lines.Scan() {
			continue
		}
	}()
	defer func() { _ = conn.Close(); <-left }()
	if replies.Encode(supervisorapi.Reply{}) != nil {
		return
	}
	for {
		exits, news := c.machine.journal.after(seq)
		for i := range exits {
			if replies.Encode(supervisorapi.Reply{Exit: &exits[i]}) != nil {
				return
			}
			seq = exits[i].Seq
		}
		if len(exits) > 0 {
			continue
		}
		select {
		case <-news:
		case <-left:
			return
		case <-c.machine.ctx.Done():
			return
		}
	}
}

// serve answers a request, in the loop.
func (m *machine) serve(c call) {
	r := c.request
	key := supervise.Key{Partition: r.Partition, Name: r.Name}
	if m.set.Closing() && r.Do != supervisorapi.List && r.Do != supervisorapi.Ack && r.Do != supervisorapi.Shutdown &&
		r.Do != supervisorapi.Settle {
		c.fail(fmt.Errorf("cannot %s %s: the supervisor is stopping", r.Do, key))
		return
	}
	switch r.Do {
	case supervisorapi.Apply:
		for i := range r.Processes {
			r.Processes[i].Partition = r.Partition
		}
		if err := m.admit(r); err != nil {
			c.fail(err)
			return
		}
		m.step(supervise.Apply{Partition: r.Partition, Processes: r.Processes})
		c.answer(supervisorapi.Reply{})
	case supervisorapi.Start, supervisorapi.Stop, supervisorapi.Restart:
		if _, ok := m.set.Unit(key); !ok {
			c.fail(fmt.Errorf("cannot %s %s: no such process (`list` shows all)", r.Do, key))
			return
		}
		m.step(supervise.Hand{Key: key, Do: supervise.Action(r.Do)})
		c.answer(supervisorapi.Reply{})
	case supervisorapi.List:
		c.answer(supervisorapi.Reply{Units: m.status(r.Partition), Supervisor: m.info()})
	case supervisorapi.Settle:
		m.settling = append(m.settling, c)
	case supervisorapi.Ack:
		if err := m.journal.ack(r.Seq); err != nil {
			c.fail(err)
			return
		}
		c.answer(supervisorapi.Reply{})
	case supervisorapi.Shutdown:
		m.stopping = append(m.stopping, c)
		m.step(supervise.Shutdown{})
	default:
		c.fail(fmt.Errorf("cannot %q: no such command", r.Do))
	}
}

func (m *machine) admit(r supervisorapi.Request) error {
	if err := supervise.Validate(r.Partition, r.Processes); err != nil {
		return err
	}
	added := 0
	for _, p := range r.Processes {
		if _, ok := m.set.Unit(p.Key); !ok {
			added++
		}
	}
	if m.set.Len()+added > supervise.MaxUnits {
		return fmt.Errorf("cannot apply partition %s: %d processes, the limit of one supervisor is %d", r.Partition,
			m.set.Len()+added, supervise.MaxUnits)
	}
	return nil
}

// answerSettled answers those who wait for a partition that has settled, and in the end those who wait for the shutdown.
func (m *machine) answerSettled() {
	waiting := m.settling[:0]
	for _, c := range m.settling {
		if m.set.Settled(c.request.Partition) || m.finished {
			c.answer(supervisorapi.Reply{Units: m.status(c.request.Partition), Supervisor: m.info()})
		} else {
			waiting = append(waiting, c)
		}
	}
	m.settling = waiting
	if m.finished {
		for _, c := range m.stopping {
			c.answer(supervisorapi.Reply{})
		}
	}
}

func (m *machine) status(partition string) []supervisorapi.Status {
	var all []supervisorapi.Status
	for _, unit := range m.set.Units() {
		if partition != "" && unit.Process.Partition != partition {
			continue
		}
		status := supervisorapi.Status{Unit: unit}
		if l := m.limits[unit.Process.Key]; l != nil {
			status.Problem = strings.Join(l.problems, "; ")
		}
		if unit.PID != 0 {
			if stat, err := readStat(unit.PID); err == nil && identity(m.boot, stat) == unit.Identity {
				status.CPU, status.Memory = stat.cpu, stat.memory
			}
		}
		all = append(all, status)
	}
	return all
}

func (m *machine) info() *supervisorapi.Info {
	info := &supervisorapi.Info{PID: os.Getpid(), Since: m.since, Boot: m.boot, Marker: m.hash, Orphans: m.orphans}
	info.Last, info.Acked, info.Dropped = m.journal.position()
	info.Problem = m.problem()
	return info
}
