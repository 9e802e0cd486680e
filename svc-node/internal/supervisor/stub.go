package supervisor

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// A child is created in two steps. The supervisor forks a stub: its own executable under the name stubName, in a session
// of its own, with a socket as file 3. The stub waits there for an order, which comes when its PID is in the journal as
// the process to be, and then becomes that process. Stubs are all alike, so one is always made in advance: the start of
// a Go program (2 ms; ten times that for a large one that hosts the supervisor) is no part of a restart. The other way,
// ptrace, breaks set-user-id programs and is forbidden in many containers.
const (
	stubName = "vow:waits-for-supervisor"
	gateFile = 3
	// maxOrder bounds what a stub reads: the limit of a definition, written as JSON.
	maxOrder = 4 << 20
)

// order is what a stub is to become.
type order struct {
	Path   string   `json:"path"`
	Argv   []string `json:"argv"`
	Env    []string `json:"env"`
	Dir    string   `json:"dir"`
	Switch bool     `json:"switch"` // to the user, group and groups that follow
	UID    int      `json:"uid"`
	GID    int      `json:"gid"`
	Groups []int    `json:"groups"`
	// Files and Processes are resource limits, of the process and of its user; 0 = as they are.
	Files     uint64 `json:"files,omitempty"`
	Processes uint64 `json:"processes,omitempty"`
	// Before is the precedence that services have.
	Before precedence `json:"before"`
}

// failure is why a stub could not follow its order.
type failure struct {
	// Stage is "order", "limit", "user", "dir" or "exec".
	Stage string        `json:"stage"`
	Errno syscall.Errno `json:"errno"`
}

// Stub turns this process into the one that the supervisor wants, if it is a stub; otherwise it returns at once. It must
// be the first call of the main function of every executable that hosts a supervisor.
func Stub() {
	if len(os.Args) != 1 || os.Args[0] != stubName {
		return
	}
	runtime.LockOSThread() // the thread that execs is the one that yields; now, since it takes 0.1 ms and we have time
	unix.CloseOnExec(gateFile)
	warm()
	o, output, err := receive(gateFile)
	if errors.Is(err, io.EOF) {
		os.Exit(125) // the supervisor is gone, or does not want the process any more
	}
	stage := "order"
	if err == nil {
		stage, err = o.follow(output)
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = unix.EBADMSG
	}
	answer, _ := json.Marshal(failure{stage, errno})
	_, _ = unix.Write(gateFile, answer)
	// The supervisor reads this before it hears of our end, since it closes the gate in answer.
	_, _ = readRetry(gateFile, make([]byte, 1))
	os.Exit(126)
}

// stubEnv keeps the runtime of a stub small: each thread more is one that exec has to end and wait for.
var stubEnv = []string{"GOMAXPROCS=1", "GOGC=off"}

// warm reads an order like those to come: what a program does for the first time costs it page faults and, in
// encoding/json, the analysis of the type, which then are no part of a restart.
func warm() {
	data, _ := json.Marshal(order{Argv: []string{""}, Env: []string{""}, Groups: []int{0}})
	var o order
	_ = json.NewDecoder(bytes.NewReader(data)).Decode(&o)
}

// follow returns only if it fails, with the stage at which it did.
func (o order) follow(output int) (string, error) {
	for _, standard := range []int{1, 2} {
		if err := unix.Dup3(output, standard, 0); err != nil {
			return "order", err
		}
	}
	o.Before.yield()
	// Package syscall, which then does not restore the limit that Go's runtime had raised for itself.
	if o.Files > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: o.Files, Max: o.Files}); err != nil {
			return "limit", err
		}
	}
	if o.Processes > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: o.Processes, Max: o.Processes}); err != nil {
			return "limit", err
		}
	}
	if o.Switch { // package syscall, since it speaks for all threads
		if err := errors.Join(syscall.Setgroups(o.Groups), syscall.Setresgid(o.GID, o.GID, o.GID),
			syscall.Setresuid(o.UID, o.UID, o.UID), privilege.Confine()); err != nil {
			return "user", err
		}
		unix.Umask(privilege.Umask)
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return "dir", err
	}
	return "exec", syscall.Exec(o.Path, o.Argv, o.Env)
}

// receive reads an order: its length, the file for the output beside it, then JSON.
func receive(fd int) (order, int, error) {
	head, control := make([]byte, 4), make([]byte, unix.CmsgSpace(4))
	n, controls, _, _, err := recvmsgRetry(fd, head, control)
	if err != nil {
		return order{}, 0, err
	}
	if n == 0 {
		return order{}, 0, io.EOF
	}
	output, err := passedFile(control[:controls])
	if err != nil {
		return order{}, 0, err
	}
	unix.CloseOnExec(output)
	size := binary.BigEndian.Uint32(head)
	if n != len(head) || size > maxOrder {
		return order{}, 0, unix.EBADMSG
	}
	body := make([]byte, size)
	for read := 0; read < len(body); {
		n, err := readRetry(fd, body[read:])
		if err != nil {
			return order{}, 0, err
		}
		if n == 0 {
			return order{}, 0, io.EOF
		}
		read += n
	}
	var o order
	return o, output, json.NewDecoder(bytes.NewReader(body)).Decode(&o)
}

func passedFile(control []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		return 0, unix.EBADMSG
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(files) != 1 {
		return 0, unix.EBADMSG
	}
	return files[0], nil
}

func recvmsgRetry(fd int, data, control []byte) (n, controls, flags int, from unix.Sockaddr, err error) {
	for {
		n, controls, flags, from, err = unix.Recvmsg(fd, data, control, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			return n, controls, flags, from, err
		}
	}
}

func readRetry(fd int, buffer []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buffer)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// gate is the supervisor's side of a stub.
type gate struct {
	pid  int
	file *os.File
	// what it is to become, once known
	order  order
	output *os.File
}

// newStub creates a waiting child, in a cgroup if one is given.
func newStub(group *os.File) (*gate, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[1]) //nolint:errcheck // the child has its own copy
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, err
	}
	defer null.Close()
	attributes := &syscall.SysProcAttr{Setsid: true}
	if group != nil {
		attributes.UseCgroupFD, attributes.CgroupFD = true, int(group.Fd())
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{stubName}, &syscall.ProcAttr{
		Dir: "/", Env: stubEnv, Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1])}, Sys: attributes,
	})
	if err == nil {
		err = unix.SetNonblock(pair[0], true) // so that waiting for it costs no thread
	}
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, err
	}
	return &gate{pid: pid, file: os.NewFile(uintptr(pair[0]), "gate")}, nil
}

// release gives the stub its order.
func (g *gate) release() error {
	defer g.output.Close()
	body, err := json.Marshal(g.order)
	if err != nil {
		return fmt.Errorf("cannot write its order: %w", err)
	}
	if len(body) > maxOrder {
		return fmt.Errorf("arguments and environment are %d bytes, the limit is %d", len(body), maxOrder)
	}
	raw, err := g.file.SyscallConn()
	if err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	var sent error
	if err := raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), head, unix.UnixRights(int(g.output.Fd())), nil, unix.MSG_NOSIGNAL)
		return sent != unix.EAGAIN
	}); err != nil {
		return err
	}
	if sent != nil {
		return sent
	}
	if len(body) <= 64<<10 { // fits the socket's buffer: no wait
		_, err = g.file.Write(body)
		return err
	}
	go func() { _, _ = g.file.Write(body) }() // a stub that dies ends this
	return nil
}

// result waits for the exec: nil = the process runs (or was killed before), else why not.
func (g *gate) result() *failure {
	answer := make([]byte, 256)
	n, _ := g.file.Read(answer) // the end of the file is the exec: the socket closes with it
	var f failure
	if n == 0 || json.Unmarshal(answer[:n], &f) != nil {
		return nil
	}
	return &f
}

func (g *gate) close() {
	_ = g.file.Close()
	if g.output != nil {
		_ = g.output.Close()
	}
}

// intsOf converts group numbers for package syscall.
func intsOf(groups []uint32) []int {
	ints := slices.Grow([]int(nil), len(groups))
	for _, g := range groups {
		ints = append(ints, int(g))
	}
	return ints
}
