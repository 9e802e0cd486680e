package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of times in /proc/PID/stat, 1/100 s on every architecture of Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// procStat is what /proc/PID/stat tells of a process.
type procStat struct {
	state   byte
	parent  int
	group   int
	session int
	cpu     time.Duration
	start   uint64 // clock ticks after boot
	memory  int64  // resident bytes
}

// readStat fails when there is no such process.
func readStat(pid int) (procStat, error) {
	data, err := readProc("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(data)
}

// readProc is os.ReadFile with a third of its system calls, which are what a file of /proc costs.
func readProc(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // only read from
	data := make([]byte, 0, 4096)
	for {
		n, err := readRetry(fd, data[len(data):cap(data)])
		if err != nil || n <= 0 {
			return data, err
		}
		data = data[:len(data)+n]
		if len(data) == cap(data) {
			data = slices.Grow(data, len(data))
		}
	}
}

// parseStat reads the fields after the command name, which is in parentheses and may contain anything.
func parseStat(data []byte) (procStat, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("cannot read process status %q", data)
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 22 { // fields[0] is field 3 of proc(5)
		return procStat{}, fmt.Errorf("cannot read process status %q", data)
	}
	number := func(field int) int64 {
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return procStat{
		state: fields[0][0], parent: int(number(4)), group: int(number(5)), session: int(number(6)),
		cpu: time.Duration(number(14)+number(15)) * clockTick, start: uint64(number(22)),
		memory: number(24) * int64(os.Getpagesize()),
	}, nil
}

// bootID names the time since the machine started; PIDs and start times of another boot mean nothing.
func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot read the boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// identity tells a process from any other that ever had or will have its PID.
func identity(boot string, stat procStat) string {
	return boot + "/" + strconv.FormatUint(stat.start, 10)
}
