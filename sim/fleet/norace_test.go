//go:build !race

package fleet_test

import (
	"path/filepath"
	"testing"
)

// dayHours is how long the day is.
const dayHours = 24

// TestDaysWithoutALink tells the stories of a computer that is cut off for a virtual day, from one service or from all: `make test-days`. With the
// race detector they would take six minutes.
func TestDaysWithoutALink(t *testing.T) {
	files, err := filepath.Glob("testdata/day/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot find stories: %v", err)
	}
	tellAll(t, files, func(*telling) {})
}
