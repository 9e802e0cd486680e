package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Sla is what an instance needs of the computer that it is put on; the zero value needs nothing but a free partition.
type Sla struct {
	// Group that the computer must be of; empty = any.
	Group string
	// Labels that the computer must have, with these values.
	Labels map[string]string
	// Needs are reserved on the computer as long as the instance is there.
	Needs Needs
	// MayMove says that nothing of value lives in its partition alone: it may be taken from a computer that is closed, and begin anew on another.
	MayMove bool
	// Host is the instance that is to host it: of a shared instance only; empty = any.
	Host string
}

// Needs is an amount of what computers have.
type Needs struct {
	// MilliCPU are thousandths of a CPU; Memory and Disk bytes.
	MilliCPU, Memory, Disk uint64
}

// Plus is the sum; it never overflows in practice: each is at most 2^53, and a computer has 1,000 partitions.
func (n Needs) Plus(o Needs) Needs {
	return Needs{n.MilliCPU + o.MilliCPU, n.Memory + o.Memory, n.Disk + o.Disk}
}

func (s Sla) same(o Sla) bool {
	return s.Group == o.Group && s.Needs == o.Needs && s.MayMove == o.MayMove && s.Host == o.Host && maps.Equal(s.Labels, o.Labels)
}

func (s Sla) valid() bool {
	if len(s.Labels) > MaxLabels || len(s.Group) > MaxLabel {
		return false
	}
	for k, v := range s.Labels {
		if k == "" || len(k) > MaxLabel || v == "" || len(v) > MaxLabel {
			return false
		}
	}
	return true
}

// unfit is why a computer is not one that is asked for, in words; empty = it is.
func (c *ComputerView) unfit(s *Sla) string {
	switch {
	case c.Closed != "":
		return c.Name + " is closed: " + c.Closed
	case s.Group != "" && c.Group != s.Group:
		return c.Name + " is not of group " + strconv.Quote(s.Group)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		if v := s.Labels[k]; c.Labels[k] != v {
			return fmt.Sprintf("%s is not labelled %s=%s", c.Name, k, v)
		}
	}
	return ""
}

// obstacle is why a computer cannot take what a request needs, in words; empty = it can.
func (c *ComputerView) obstacle(r *PlaceRequest) string {
	if why := c.unfit(&r.Sla); why != "" {
		return why
	}
	switch {
	case c.Partitions == 0:
		return c.Name + " has no partitions"
	case len(c.Free) == 0:
		return fmt.Sprintf("%d of %d partitions of %s hold instances", c.Partitions, c.Partitions, c.Name)
	}
	for _, a := range c.amounts(r.Sla.Needs) {
		switch {
		case a.need > 0 && a.has == 0:
			return fmt.Sprintf("the %s of %s is not known", a.what, c.Name)
		case a.need > 0 && a.reserved+a.need > a.has:
			return fmt.Sprintf("%s of %s %s of %s are reserved, %s more are needed", a.words(a.reserved), a.words(a.has), a.what, c.Name, a.words(a.need))
		}
	}
	return ""
}

// amount is one resource of a computer.
type amount struct {
	what                string
	need, reserved, has uint64
	words               func(uint64) string
}

func (c *ComputerView) amounts(need Needs) [3]amount {
	return [3]amount{
		{"CPU", need.MilliCPU, c.Reserved.MilliCPU, c.Has.MilliCPU, milli},
		{"memory", need.Memory, c.Reserved.Memory, c.Has.Memory, mebibytes},
		{"disk", need.Disk, c.Reserved.Disk, c.Has.Disk, mebibytes},
	}
}

// share is how full, in thousandths, the fullest resource that anybody counts would be with more.
func (c *ComputerView) share(need Needs) uint64 {
	var fullest uint64
	for _, a := range c.amounts(need) {
		if a.has > 0 {
			fullest = max(fullest, uint64(float64(a.reserved+a.need)/float64(a.has)*1000))
		}
	}
	return fullest
}

// better tells whether c is a better place than o for what is needed: load spreads by the fullest resource, then by free partitions.
func (c *ComputerView) better(o *ComputerView, need Needs) bool {
	if order := cmp.Or(cmp.Compare(c.share(need), o.share(need)), -cmp.Compare(len(c.Free), len(o.Free))); order != 0 {
		return order < 0
	}
	return c.Name < o.Name
}

func milli(n uint64) string { return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) }

func mebibytes(n uint64) string {
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}
