package agenda

import "fmt"

// Generation numbers the changes and bangs of a tree: by number within an epoch; a newer epoch wins over any number.
type Generation struct {
	Epoch, Number uint64
}

// After tells whether g is newer than o.
func (g Generation) After(o Generation) bool {
	if g.Epoch != o.Epoch {
		return g.Epoch > o.Epoch
	}
	return g.Number > o.Number
}

// String is "epoch.number", as people see it.
func (g Generation) String() string { return fmt.Sprintf("%d.%d", g.Epoch, g.Number) }

func newest(a, b Generation) Generation {
	if b.After(a) {
		return b
	}
	return a
}
