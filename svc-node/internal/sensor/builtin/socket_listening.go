package builtin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// lookout is how often a connection that is being made looks whether its time is over.
const lookout = 100 * time.Millisecond

const addressUsage = "Address must be specified in 1 of the following 3 forms: (host, port), path or abstract"

// socketListening is check_socket_listening.
func socketListening() Sensor {
	return Sensor{
		Name:    "check_socket_listening",
		Summary: "Fails unless something accepts connections at a TCP address or a unix socket.",
		Example: `{"host": "127.0.0.1", "port": 8080}`,
		Options: []Option{
			{Name: "host", Text: "Name or address; with `port`. The first address of a name is tried."},
			{Name: "port", Text: "TCP port, 1 to 65535."},
			{Name: "pathname", Text: "Path of a unix socket, instead of host and port; opened as the partition's user."},
			{Name: "abstract", Text: "Name of a unix socket in the abstract namespace, instead."},
			{Name: "result-count", Default: "3", Text: "Window of the anomaly: groups looked at."},
			{Name: "failure-amount", Default: "3", Text: "Window of the anomaly: how many of them must have failed."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly failure-amount of result-count, bangs",
		prepare: func(c *Config) Check {
			host, path, abstract := c.Text("host", ""), c.Text("pathname", ""), c.Text("abstract", "")
			port := c.Int("port", 0)
			if port < 0 || port > 65535 {
				c.problem("port", "is 1 to 65535")
			}
			address, fixed := netip.ParseAddr(host)
			wrong := host != "" && (path != "" || abstract != "" || port == 0) || host == "" && (path == "") == (abstract == "")
			return Check{
				Anomaly: c.Rule("result-count", "failure-amount", 3, 3),
				sense: func(ctx context.Context, s *Sensing) {
					switch {
					case wrong:
						s.error(addressUsage)
					case path != "":
						s.connectUnix(ctx, path, pythontext.Quote(path))
					case abstract != "":
						s.connectUnix(ctx, "@"+abstract, pythontext.Quote("\x00"+abstract))
					case fixed == nil:
						s.connectTCP(ctx, address, port)
					default:
						s.connectName(ctx, host, port)
					}
				},
			}
		},
	}
}

// connectName connects to the first address of a name, as the original does.
func (s *Sensing) connectName(ctx context.Context, host string, port int) {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addresses) == 0 {
		s.error("[Errno -2] Name or service not known")
		return
	}
	s.connectTCP(ctx, addresses[0].Unmap(), port)
}

func (s *Sensing) connectTCP(ctx context.Context, address netip.Addr, port int) {
	said := fmt.Sprintf("(%s, %d)", pythontext.Quote(address.String()), port)
	if address.Is6() {
		said = fmt.Sprintf("(%s, %d, 0, 0)", pythontext.Quote(address.String()), port)
	}
	s.connected(ctx, said, connect(ctx, address, port))
}

// connect makes a TCP connection and closes it: five system calls and no goroutine, half of what net.Dialer takes, which
// watches its context by another goroutine and its descriptor by epoll.
func connect(ctx context.Context, address netip.Addr, port int) error {
	var family int
	var to unix.Sockaddr
	if address.Is6() {
		scope := uint32(0)
		if zone := address.Zone(); zone != "" {
			i, err := net.InterfaceByName(zone)
			if err != nil {
				return err
			}
			scope = uint32(i.Index) //nolint:gosec // an index
		}
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: port, ZoneId: scope, Addr: address.As16()}
	} else {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: address.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	if err := unix.Connect(fd, to); !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}} //nolint:gosec // a descriptor
	for ctx.Err() == nil {
		// It waits in the system, so that the end of the context is looked for now and then.
		n, err := unix.Poll(poll, int(lookout/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && code != 0 {
				err = syscall.Errno(code)
			}
			return err
		}
	}
	return ctx.Err()
}

func (s *Sensing) connectUnix(ctx context.Context, address, said string) {
	s.connected(ctx, said, s.asUser(func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
		if err == nil {
			conn.Close()
		}
		return err
	}))
}

// connected tells how it went.
func (s *Sensing) connected(ctx context.Context, said string, err error) {
	if err == nil {
		s.info("socket connection OK %s", said)
		return
	}
	if errno, words, ok := systemError(err); ok {
		s.error("%s: [Errno %d] %s", pythonClass(errno), int(errno), words)
		return
	}
	if ctx.Err() != nil {
		s.error("%s: [Errno %d] Connection timed out", pythonClass(syscall.ETIMEDOUT), int(syscall.ETIMEDOUT))
		return
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		err = operation.Err
	}
	s.error("OSError: %v", err)
}
