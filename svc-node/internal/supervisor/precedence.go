package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The supervisor goes before others: on a machine that is overloaded or out of memory a dead service must be replaced all
// the same. Its children do not inherit that. Only root may; without, nothing is different but the speed under load.
const (
	ownNice = -10
	ownOOM  = -900 // the kernel's killer takes it after everything else, a leak in it aside
)

const oomFile = "/proc/self/oom_score_adj"

// precedence is what a process had before, and what each service gets.
type precedence struct {
	Nice   int  `json:"nice"`
	OOM    int  `json:"oom"`
	Raised bool `json:"raised"`
}

// takePrecedence raises this process, unless an earlier self has.
func takePrecedence(before precedence) precedence {
	if before.Raised || os.Getuid() != 0 {
		return before
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return before
	}
	was := precedence{Nice: 20 - raw, Raised: true} // the system call returns 20 - nice, which is positive
	data, err := os.ReadFile(oomFile)
	if err != nil {
		return before
	}
	was.OOM, _ = strconv.Atoi(strings.TrimSpace(string(data)))
	// Linux has a nice value per thread; threads to come have that of their maker.
	threads, _ := filepath.Glob("/proc/self/task/*")
	for _, thread := range threads {
		if id, err := strconv.Atoi(filepath.Base(thread)); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, min(ownNice, was.Nice))
		}
	}
	_ = os.WriteFile(oomFile, []byte(strconv.Itoa(min(ownOOM, was.OOM))), 0)
	return was
}

// yield makes the calling thread, which must be locked and about to exec, what the supervisor was before.
func (p precedence) yield() {
	if !p.Raised {
		return
	}
	// Not os.WriteFile, which would start Go's poller for it: this is a part of each restart.
	if fd, err := unix.Open(oomFile, unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Write(fd, []byte(strconv.Itoa(p.OOM)))
		_ = unix.Close(fd)
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice)
}
