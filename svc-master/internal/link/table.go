package link

import (
	"sync"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// Table is the links that this replica has open.
type Table struct {
	mu    sync.Mutex // never held while anything waits
	links map[string]*Link
}

// NewTable makes an empty one.
func NewTable() *Table { return &Table{links: map[string]*Link{}} }

// Open notes the link of a computer; it takes the place of an older one, whose calls go on until it is closed. send is called
// by one goroutine at a time, and must come to an end by itself. Close it.
func (t *Table) Open(computer string, send func(*masterv1.LinkResponse) error) *Link {
	l := &Link{opened: time.Now(), send: send, turn: make(chan struct{}, 1), done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.links[computer] = l
	return l
}

// Close forgets a link and ends its calls. When it returns, send is not called any more.
func (t *Table) Close(computer string, l *Link) {
	t.mu.Lock()
	if t.links[computer] == l {
		delete(t.links, computer)
	}
	t.mu.Unlock()
	l.close()
}

// Find returns the youngest open link of a computer; nil = none.
func (t *Table) Find(computer string) *Link {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.links[computer]
}
