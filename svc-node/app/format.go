package app

import (
	"context"
	"os"
	"path/filepath"

	"github.com/vow-os/vow/svc-node/internal/format"
)

// What `vow node format` works with.
type (
	// Wish is what a person wants of a machine.
	Wish = format.Wish
	// FormatChange is one step of a plan.
	FormatChange = format.Change
)

// DefaultPartitions is how many partitions a computer has unless somebody says so.
const DefaultPartitions = 10

// DefaultWish is the wish of somebody who says nothing: below /srv/vow as root, in one's own state folder otherwise.
func DefaultWish() Wish {
	dir := "/srv/vow"
	if os.Geteuid() != 0 {
		dir = Vars()["state"]
	}
	return Wish{
		InstanceRoot: filepath.Join(dir, "instance"), SoftwareRoot: filepath.Join(dir, "software"), Partitions: DefaultPartitions,
		UserPrefix: "slapuser", SoftwareUser: format.DefaultSoftwareUser, Interface: "lo", IPv4: []string{format.DefaultIPv4},
	}
}

// FormattedWish is what an instance root was formatted for last.
func FormattedWish(instanceRoot string) (w Wish, formatted bool, err error) {
	layout, err := format.Read(instanceRoot)
	if err != nil || layout == nil {
		return Wish{}, false, err
	}
	if w = layout.Wish; w.SoftwareUser == "" { // formatted before there was such a user
		w.SoftwareUser = format.DefaultSoftwareUser
	}
	return w, true, nil
}

// PlanFormat tells what of the machine would change for a wish; it changes nothing.
func PlanFormat(w Wish) ([]FormatChange, error) {
	seen, err := format.Look(w)
	if err != nil {
		return nil, err
	}
	return format.Plan(w, seen)
}

// Format carries a plan out; told is called before each change.
func Format(ctx context.Context, w Wish, changes []FormatChange, told func(FormatChange)) error {
	return format.Apply(ctx, w, changes, told)
}
