package builtin

import (
	"context"
	"path/filepath"
	"strings"
)

// sysNet is where the kernel tells of network interfaces.
const sysNet = "/sys/class/net"

// interfaceUp is check_interface_up.
func interfaceUp() Sensor { return interfaceUpIn(sysNet) }

func interfaceUpIn(folder string) Sensor {
	return Sensor{
		Name:    "check_interface_up",
		Summary: "Fails unless a network interface is up.",
		Example: `{"ifname": "eth0"}`,
		Options: []Option{
			{Name: "ifname", Required: true, Text: "Name of the interface."},
			{Name: "testing", Text: "Anything but nothing: nothing is looked at."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly 2 of 3, bangs",
		prepare: func(c *Config) Check {
			name, testing := c.Text("ifname", ""), c.Text("testing", "")
			if strings.ContainsAny(name, "/\x00") || name == "." || name == ".." {
				c.problem("ifname", "is the name of a network interface")
			}
			return Check{
				Anomaly: Rule{ResultCount: 3, FailureAmount: 2},
				sense: func(_ context.Context, s *Sensing) {
					if testing != "" {
						s.info("skipping promise")
						return
					}
					path := filepath.Join(folder, name, "operstate")
					state, err := readHead(path, 64)
					switch {
					case err != nil:
						s.error("%s", fileError(err, path))
					case string(state) == "up\n":
						s.info("%s is up", name)
					default:
						s.error("%s is down", name)
					}
				},
			}
		},
	}
}
