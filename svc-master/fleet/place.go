package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ComputerView is what the choice of a place looks at.
type ComputerView struct {
	Name string
	// Supplied is true when the release of the request is supplied to it.
	Supplied bool
	// Partitions that it has, and the names of those that are free, in any order.
	Partitions int
	Free       []string
	// Closed is why nothing may be put on it; empty = it is open.
	Closed string
	// Group and Labels are what operators say of it.
	Group  string
	Labels map[string]string
	// Has is what it has, 0 = not known; Reserved what its instances need.
	Has, Reserved Needs
}

// PlaceRequest is an instance that wants a partition.
type PlaceRequest struct {
	// Release as it may be shown: without what is secret in its URL.
	Release string
	// Computer that was asked for; empty = anywhere.
	Computer string
	// Sla is what else is needed.
	Sla Sla
}

// Chosen is where an instance goes.
type Chosen struct {
	Computer, Partition string
}

// ChoosePlace chooses a partition (docs/rules.md, allocation): only where the release is supplied, on an open computer that has what is needed; the requested
// computer, or the one whose fullest resource is least full with the request, then the one with the most free partitions, ties by name; there the first free
// partition in natural order (slappart2 before slappart10). With no room ok is false and the reason exact.
func ChoosePlace(r PlaceRequest, computers []ComputerView) (chosen Chosen, reason string, ok bool) {
	var best *ComputerView
	supplied := 0
	var full []string
	for at := range computers {
		c := &computers[at]
		if r.Computer != "" && c.Name != r.Computer {
			continue
		}
		if r.Computer != "" && !c.Supplied {
			return Chosen{}, fmt.Sprintf("software release %s is not supplied to %s", r.Release, c.Name), false
		}
		if !c.Supplied {
			continue
		}
		supplied++
		if why := c.obstacle(&r); why != "" {
			full = append(full, why)
			continue
		}
		if best == nil || c.better(best, r.Sla.Needs) {
			best = c
		}
	}
	switch {
	case best != nil:
		return Chosen{Computer: best.Name, Partition: slices.MinFunc(best.Free, natural)}, "", true
	case r.Computer != "" && supplied == 0:
		return Chosen{}, "computer " + r.Computer + " is unknown", false
	case len(computers) == 0:
		return Chosen{}, "no computer is registered", false
	case supplied == 0:
		return Chosen{}, fmt.Sprintf("software release %s is supplied to no computer", r.Release), false
	}
	slices.Sort(full)
	if more := len(full) - maxFullTold; more > 0 {
		full = append(full[:maxFullTold], fmt.Sprintf("and so on for %d more computers", more))
	}
	return Chosen{}, strings.Join(full, ", "), false
}

// maxFullTold is how many computers that do not fit a reason names.
const maxFullTold = 5

// natural orders names with numbers in them: slappart2 before slappart10.
func natural(a, b string) int {
	whole := strings.Compare(a, b) // decides between 1 and 01
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), whole)
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
