package builtin

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// defaultTolerance is the load for each CPU that is still fine.
const defaultTolerance = 2.2

// load is how busy the machine is: the averages of 1, 5 and 15 minutes, running and all tasks, and its CPUs.
type load struct {
	averages [3]float64
	tasks    string
	cpus     int
}

// serverCPULoad is check_server_cpu_load.
func serverCPULoad() Sensor { return serverCPULoadOf(machineLoad) }

func serverCPULoadOf(ask func() (load, error)) Sensor {
	return Sensor{
		Name:    "check_server_cpu_load",
		Summary: "Fails when the machine's load average of 15 minutes is high for its CPUs.",
		Example: `{"cpu-load-threshold": 2.2}`,
		Options: []Option{{Name: "cpu-load-threshold", Default: "2.2", Text: "Load for each CPU that is still fine; 0 is the default."}},
		Period:  3 * time.Minute,
		Windows: "test 10 of 10; anomaly 10 of 10, does not bang: another partition may be the reason",
		prepare: func(c *Config) Check {
			text := c.Text("cpu-load-threshold", "")
			tolerance, parseErr := strconv.ParseFloat(text, 64)
			if tolerance == 0 {
				tolerance = defaultTolerance
			}
			rule := Rule{ResultCount: 10, FailureAmount: 10}
			return Check{Test: rule, Anomaly: rule, Quiet: true, sense: func(_ context.Context, s *Sensing) {
				if text != "" && parseErr != nil {
					s.error("CPU load threshold %s is not valid: could not convert string to float: %s", pythontext.Quote(text), pythontext.Quote(text))
					return
				}
				l, err := ask()
				if err != nil {
					s.error("Couldn't read CPU load: %v", err)
					return
				}
				s.value(l.averages[2])
				if l.averages[2] > float64(l.cpus)*tolerance {
					s.error("CPU load is high: %s %s %s\n\n\ntasks running/all: %s, CPUs: %d",
						pythontext.Float(l.averages[0]), pythontext.Float(l.averages[1]), pythontext.Float(l.averages[2]), l.tasks, l.cpus)
					return
				}
				s.info("CPU load is OK")
			}}
		},
	}
}

// machineLoad asks the kernel.
func machineLoad() (load, error) {
	var l load
	content, err := readHead("/proc/loadavg", 256)
	if err != nil {
		return l, err
	}
	fields := strings.Fields(string(content))
	if len(fields) < 4 {
		return l, errors.New("cannot understand /proc/loadavg")
	}
	for i := range l.averages {
		if l.averages[i], err = strconv.ParseFloat(fields[i], 64); err != nil {
			return l, err
		}
	}
	l.tasks = fields[3]
	content, err = readHead("/proc/stat", 64<<10)
	if err != nil {
		return l, err
	}
	for line := range bytes.Lines(content) {
		if len(line) > 3 && bytes.HasPrefix(line, []byte("cpu")) && line[3] >= '0' && line[3] <= '9' {
			l.cpus++
		}
	}
	l.cpus = max(1, l.cpus)
	return l, nil
}
