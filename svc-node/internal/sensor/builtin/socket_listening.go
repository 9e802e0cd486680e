package builtin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

const addressUsage = "Address must be specified in 1 of the following 3 forms: (host, port), path or abstract"

// socketListening is check_socket_listening.
func socketListening() Sensor {
	return Sensor{
		Name:    "check_socket_listening",
		Summary: "Fails unless something accepts connections at a TCP address or a unix socket.",
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
						s.connect(ctx, "unix", path, quoted(path))
					case abstract != "":
						s.connect(ctx, "unix", "@"+abstract, quoted("\x00"+abstract))
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
	said := fmt.Sprintf("(%s, %d)", quoted(address.String()), port)
	if address.Is6() {
		said = fmt.Sprintf("(%s, %d, 0, 0)", quoted(address.String()), port)
	}
	s.connect(ctx, "tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)), said)
}

func (s *Sensing) connect(ctx context.Context, network, address, said string) {
	dialer := net.Dialer{KeepAlive: -1} // what is closed at once needs none: a system call less
	var conn net.Conn
	dial := func() (err error) {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	}
	var err error
	if network == "unix" {
		err = s.asUser(dial)
	} else {
		err = dial()
	}
	if err == nil {
		conn.Close()
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
	var operation *net.OpError
	if errors.As(err, &operation) {
		err = operation.Err
	}
	s.error("OSError: %v", err)
}
