package child

import (
	"errors"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// tail keeps the end of what is read.
type tail struct {
	limit int
	kept  []byte
}

// fill reads the output of a process until nobody can write any more, or for a moment after the process ended: then somebody
// it started still can, and ended is false.
func (t *tail) fill(read *os.File, pid int) (ended bool) {
	var last time.Time // when reading ends; zero = the process runs, as far as known
	looked := time.Now()
	buffer := make([]byte, 4096)
	for {
		_ = read.SetReadDeadline(time.Now().Add(drain)) // a pipe of ours has deadlines
		n, err := read.Read(buffer)
		t.add(buffer[:n])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.Is(err, io.EOF)
		}
		now := time.Now()
		switch {
		case !last.IsZero() && now.After(last):
			return false // who writes on without end is ended with the others
		case last.IsZero() && (err != nil || now.Sub(looked) >= drain):
			if looked = now; exited(pid) {
				last = now.Add(drain)
			}
		}
	}
}

// exited reports whether a child of ours ended, and leaves it to be waited for.
func exited(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo != 0
}

func (t *tail) add(b []byte) {
	t.kept = append(t.kept, b...)
	// Twice the limit before it is cut, so that many small writes are not copied each time.
	if len(t.kept) > 2*t.limit {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.limit:]...)
	}
}

// bytes is what is kept.
func (t *tail) bytes() []byte { return t.kept[max(0, len(t.kept)-t.limit):] }

// Last returns the last n characters of valid UTF-8.
func Last(s string, n int) string {
	if len(s) <= n {
		return s // bytes are at least characters
	}
	for at := len(s); at > 0; n-- {
		if n == 0 {
			return s[at:]
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s
}
