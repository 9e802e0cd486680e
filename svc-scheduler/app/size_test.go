package app

import (
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// A reading of many allocations is larger than what callers may usually send: a fleet must not stand still because it is large, or because much of it fails.
func TestALargeReadingIsTaken(t *testing.T) {
	tell(t, func(_ *testing.T, s *story) {
		for n := range 5 {
			s.master.allocate(n, "c1")
		}
		s.start()
		s.open("c1", 8).want(5)
		for _, a := range s.master.allocations {
			a.Latest = &masterv1.RunSummary{RunId: "r-" + a.GetPartition(), Error: strings.Repeat("x", 1<<20)}
		}
		s.master.allocate(5, "c2") // the membership moved: the tree is read anew before its next entries are handled
		s.open("c2", 8).want(1)
		s.open("c1", 8).want(5)
	})
}
