package child

import (
	"sync"
	"unicode/utf8"
)

// tail keeps the end of what is written to it.
type tail struct {
	limit int

	mu   sync.Mutex // a process left behind may still write when the child is gone
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) >= t.limit {
		t.kept = append(t.kept[:0], b[len(b)-t.limit:]...)
		return len(b), nil
	}
	t.kept = append(t.kept, b...)
	// Twice the limit before it is cut, so that many small writes are not copied each time.
	if len(t.kept) > 2*t.limit {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.limit:]...)
	}
	return len(b), nil
}

// bytes is a copy of what is kept.
func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.kept[max(0, len(t.kept)-t.limit):]...)
}

// Last returns the last n characters of valid UTF-8.
func Last(s string, n int) string {
	for at := len(s); at > 0; n-- {
		if n == 0 {
			return s[at:]
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s
}
