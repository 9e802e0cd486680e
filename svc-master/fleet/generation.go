package fleet

import "fmt"

// Generation numbers every change and every bang of a tree (docs/words.md). Number counts from 1 within Epoch; the epoch moves when the store lost data,
// and a newer epoch wins over any number. The zero value is before every generation.
type Generation struct {
	Epoch  uint64
	Number uint64
}

// Less tells whether g is older than o.
func (g Generation) Less(o Generation) bool {
	if g.Epoch != o.Epoch {
		return g.Epoch < o.Epoch
	}
	return g.Number < o.Number
}

// IsZero tells whether g is no generation.
func (g Generation) IsZero() bool { return g == Generation{} }

// String is "epoch/number".
func (g Generation) String() string { return fmt.Sprintf("%d/%d", g.Epoch, g.Number) }

// newer is the newer of two generations.
func newer(a, b Generation) Generation {
	if a.Less(b) {
		return b
	}
	return a
}
