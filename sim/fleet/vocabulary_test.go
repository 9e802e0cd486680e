package fleet_test

import (
	"testing"

	"github.com/vow-os/vow/sim/fleet"
)

type vocabulary struct{}

func newVocabulary() *vocabulary { return &vocabulary{} }

func (v *vocabulary) hear(t *testing.T, f *fleet.Fleet) {}
func (v *vocabulary) compare(t *testing.T)              {}
