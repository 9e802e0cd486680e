package archive

import (
	"fmt"
	"io"
)

// The names of the limits, as telemetry shows them.
const (
	LimitBytes   = "release bytes"
	LimitEntries = "release files"
)

// LimitError is an archive that holds more than it may.
type LimitError struct{ Limit, Text string }

func (e *LimitError) Error() string { return e.Text }

// Budget is what may still be written. Build it with NewBudget.
type Budget struct {
	entries, most int
	bytes, limit  int64
}

// NewBudget is a budget of entries, directories and links included, and of bytes.
func NewBudget(entries int, bytes int64) *Budget {
	return &Budget{entries: entries, most: entries, bytes: bytes, limit: bytes}
}

// Entry takes an entry.
func (b *Budget) Entry() error {
	if b.entries--; b.entries < 0 {
		return b.tooMany()
	}
	return nil
}

// Take takes bytes.
func (b *Budget) Take(n int64) error {
	if b.bytes -= n; b.bytes < 0 {
		return b.tooLarge()
	}
	return nil
}

// Has tells whether so many bytes may still come, without taking them.
func (b *Budget) Has(n int64) error {
	if n > b.bytes {
		return b.tooLarge()
	}
	return nil
}

// Reader takes what is read of content.
func (b *Budget) Reader(content io.Reader) io.Reader { return taking{b, content} }

type taking struct {
	b    *Budget
	from io.Reader
}

func (t taking) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if limit := t.b.Take(int64(n)); limit != nil {
		return 0, limit
	}
	return n, err
}

func (b *Budget) tooMany() error {
	return &LimitError{Limit: LimitEntries, Text: fmt.Sprintf("it has more than %d files", b.most)}
}

func (b *Budget) tooLarge() error {
	return &LimitError{Limit: LimitBytes, Text: "it unpacks to more than " + Size(b.limit)}
}

// Size shows bytes to people.
func Size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d bytes", max(n, 0))
	}
}
