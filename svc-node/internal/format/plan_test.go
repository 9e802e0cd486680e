package format

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func wish() Wish {
	return Wish{
		InstanceRoot: "/srv/vow/instance", SoftwareRoot: "/srv/vow/software", Partitions: 2, UserPrefix: "slapuser", SoftwareUser: "slapsoft", Interface: "lo",
		IPv4: []string{"10.0.0.0/16"}, IPv6: []string{"fd00::/64"},
	}
}

func empty(euid uint32) Seen {
	return Seen{
		EUID: euid, Directories: map[string]Directory{}, Users: map[string]Account{}, Groups: map[string]uint32{}, Interface: true,
		Addresses: map[netip.Addr]bool{}, Machine: map[netip.Addr]bool{},
	}
}

// done is the machine after a plan was carried out.
func done(t testing.TB, w Wish, seen Seen, changes []Change) Seen {
	t.Helper()
	for _, c := range changes {
		switch c.Action {
		case MakeGroup:
			seen.Groups[c.Name] = 100 + uint32(len(seen.Groups))
		case MakeUser:
			seen.Users[c.Name] = Account{Name: c.Name, UID: 200 + uint32(len(seen.Users)), GID: seen.Groups[c.Name]}
		case MakeDirectory, GiveDirectory:
			d := Directory{UID: seen.EUID, GID: seen.EUID, Mode: fs.ModeDir | c.mode, Empty: true}
			if c.user != "" {
				d.UID, d.GID = seen.Users[c.user].UID, seen.Users[c.user].GID
			}
			seen.Directories[c.Name] = d
			if c.all {
				seen.Foreign = ""
			}
		case AddAddress:
			seen.Addresses[netip.MustParseAddr(c.Name)], seen.Machine[netip.MustParseAddr(c.Name)] = true, true
		case RemoveAddress:
			delete(seen.Addresses, netip.MustParseAddr(c.Name))
			delete(seen.Machine, netip.MustParseAddr(c.Name))
		case RemoveDirectory:
			if !seen.Directories[c.Name].Empty {
				t.Fatalf("%s is removed with its content", c.Name)
			}
			delete(seen.Directories, c.Name)
		case WriteLayout:
			addresses, err := w.addresses()
			if err != nil {
				t.Fatal(err)
			}
			layout, known := layoutOf(w, seen, addresses)
			if !known {
				t.Fatal("the layout is written before the users are there")
			}
			seen.Before = &layout
		}
	}
	return seen
}

func told(changes []Change) string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, strings.TrimSpace(string(c.Action)+" "+c.Name+" "+c.Detail))
	}
	return strings.Join(lines, "\n")
}

func TestAPlanOfAnEmptyMachineAsRootTellsEverythingAndThenNothing(t *testing.T) {
	changes, err := Plan(wish(), empty(0))
	if err != nil {
		t.Fatal(err)
	}
	want := `make group slapsoft
make user slapsoft of software releases
make group slapuser0
make user slapuser0 of slappart0
make group slapuser1
make user slapuser1 of slappart1
make directory /srv/vow/instance 0755
make directory /srv/vow/software 0755 of slapsoft
make directory /srv/vow/instance/slappart0 0750 of slapuser0
make directory /srv/vow/instance/slappart1 0750 of slapuser1
add address 10.0.0.1 to lo for slappart0
add address fd00::1 to lo for slappart0
add address 10.0.0.2 to lo for slappart1
add address fd00::2 to lo for slappart1
write layout /srv/vow/instance/.vow-format.json 2 partitions instead of 0`
	if got := told(changes); got != want {
		t.Errorf("the plan is\n%s\nwant\n%s", got, want)
	}
	if again, err := Plan(wish(), done(t, wish(), empty(0), changes)); err != nil || len(again) > 0 {
		t.Errorf("carried out it is %v, %v", told(again), err)
	}
}

func TestAnUnprivilegedPlanNeedsNoUserAndNoAddress(t *testing.T) {
	w := wish()
	w.IPv4, w.IPv6 = []string{DefaultIPv4}, nil
	changes, err := Plan(w, empty(1000))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if c.Action != MakeDirectory && c.Action != WriteLayout {
			t.Errorf("it has %v", c)
		}
	}
	seen := done(t, w, empty(1000), changes)
	if again, err := Plan(w, seen); err != nil || len(again) > 0 || seen.Before.Partitions[1].Addresses[0] != "127.16.0.2" || seen.Before.Partitions[1].User != "" {
		t.Errorf("carried out it is %v, %v, %+v", told(again), err, seen.Before)
	}
	if _, err := Plan(wish(), empty(1000)); err == nil || !strings.Contains(err.Error(), "10.0.0.1 of slappart0, and only root may add it") {
		t.Errorf("an address that the machine does not have gives %v", err)
	}
}

func TestAPartitionInUseIsNeverRemovedAndAFreeOneIs(t *testing.T) {
	changes, err := Plan(wish(), empty(0))
	if err != nil {
		t.Fatal(err)
	}
	seen := done(t, wish(), empty(0), changes)
	fewer := wish()
	fewer.Partitions = 1
	changes, err = Plan(fewer, seen)
	want := `remove address 10.0.0.2 from lo, of slappart1
remove address fd00::2 from lo, of slappart1
remove directory /srv/vow/instance/slappart1 it is free
write layout /srv/vow/instance/.vow-format.json 1 partitions instead of 2`
	if got := told(changes); err != nil || got != want {
		t.Errorf("with a free one it is %v\n%s", err, got)
	}
	path := "/srv/vow/instance/slappart1"
	d := seen.Directories[path]
	d.Empty = false
	seen.Directories[path] = d
	if changes, err := Plan(fewer, seen); err == nil || !strings.Contains(err.Error(), "slappart1 would go, and "+path+" is not empty") {
		t.Errorf("with one in use it is %v\n%s", err, told(changes))
	}
	// Of one in use the addresses that its services listen on stay.
	moved := wish()
	moved.IPv4 = []string{"10.1.0.0/16"}
	changes, err = Plan(moved, seen)
	want = `add address 10.1.0.1 to lo for slappart0
add address 10.1.0.2 to lo for slappart1
remove address 10.0.0.1 from lo, of slappart0
write layout /srv/vow/instance/.vow-format.json 2 partitions, changed`
	if got := told(changes); err != nil || got != want {
		t.Errorf("moved it is %v\n%s", err, got)
	}
}

func TestWhatIsInTheWayIsNamed(t *testing.T) {
	cases := map[string]struct {
		change func(*Wish, *Seen)
		want   string
	}{
		"relative root":   {func(w *Wish, _ *Seen) { w.InstanceRoot = "srv" }, `instance_root is "srv"`},
		"too many":        {func(w *Wish, _ *Seen) { w.Partitions = 1001 }, "want 0 to 1000"},
		"user prefix":     {func(w *Wish, _ *Seen) { w.UserPrefix = "-x" }, `user_prefix is "-x"`},
		"software user":   {func(w *Wish, _ *Seen) { w.SoftwareUser = "" }, `software_user is ""`},
		"partition's too": {func(w *Wish, _ *Seen) { w.SoftwareUser = "slapuser7" }, "the name of a partition's user"},
		"same roots":      {func(w *Wish, _ *Seen) { w.SoftwareRoot = w.InstanceRoot }, "within one another"},
		"root in root":    {func(w *Wish, _ *Seen) { w.SoftwareRoot = "/srv" }, "within one another"},
		"software's root": {func(w *Wish, s *Seen) { s.Directories[w.SoftwareRoot] = Directory{UID: 7, Mode: fs.ModeDir | 0o755} }, "belongs to user 7, who is neither root nor slapsoft"},
		"soft is root":    {func(_ *Wish, s *Seen) { s.Users["slapsoft"], s.Groups["slapsoft"] = Account{GID: 5}, 5 }, "slapsoft is root"},
		"soft's group": {func(_ *Wish, s *Seen) {
			s.Users["slapsoft"], s.Groups["slapsoft"] = Account{UID: 4, GID: 5}, 5
			s.Users["slapuser0"], s.Groups["slapuser0"] = Account{UID: 4, GID: 6}, 6
		}, "slapsoft and slapuser0 are the same user 4"},
		"interface":       {func(w *Wish, _ *Seen) { w.Interface = "a b" }, `interface is "a b"`},
		"no interface":    {func(_ *Wish, s *Seen) { s.Interface = false }, "there is no interface lo"},
		"small network":   {func(w *Wish, _ *Seen) { w.IPv4 = []string{"10.0.0.0/31"}; w.Partitions = 3 }, "fewer addresses than the 3 partitions"},
		"broadcast":       {func(w *Wish, _ *Seen) { w.IPv4 = []string{"10.0.0.0/30"}; w.Partitions = 3 }, "fewer addresses than the 3 partitions"},
		"few addresses":   {func(w *Wish, _ *Seen) { w.IPv4 = []string{"10.0.0.7"} }, "ipv4 has 1 addresses, 2 partitions want one each"},
		"no address":      {func(w *Wish, _ *Seen) { w.IPv4 = []string{"10.0.0.7", "localhost"} }, `ipv4 has "localhost"`},
		"twice":           {func(w *Wish, _ *Seen) { w.IPv4 = []string{"10.0.0.7", "10.0.0.7"} }, "ipv4 has 10.0.0.7 twice"},
		"other kind":      {func(w *Wish, _ *Seen) { w.IPv6 = []string{"10.0.0.0/16"} }, "which is of the other kind"},
		"closed":          {func(_ *Wish, s *Seen) { s.Closed = "/root" }, "others cannot enter /root"},
		"another's":       {func(_ *Wish, s *Seen) { s.Before = &Layout{Owner: 1000} }, "user 1000 formatted"},
		"root of another": {func(w *Wish, s *Seen) { s.Directories[w.InstanceRoot] = Directory{UID: 7, Mode: fs.ModeDir | 0o755} }, "belongs to user 7"},
		"a file":          {func(w *Wish, s *Seen) { s.Directories[w.directory(1)] = Directory{Mode: 0o644} }, "slappart1 is no directory"},
		"root as user":    {func(_ *Wish, s *Seen) { s.Users["slapuser0"], s.Groups["slapuser0"] = Account{GID: 5}, 5 }, "slapuser0 is root"},
		"shared group":    {func(_ *Wish, s *Seen) { s.Users["slapuser0"] = Account{UID: 5, GID: 100} }, "not a group slapuser0 of its own"},
		"content":         {func(w *Wish, s *Seen) { s.Directories[w.directory(0)] = Directory{UID: 1000, Mode: fs.ModeDir | 0o750} }, "has content of user 1000"},
	}
	for name, c := range cases {
		w, seen := wish(), empty(0)
		c.change(&w, &seen)
		if changes, err := Plan(w, seen); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot format: ") {
			t.Errorf("%s: %v, %d changes; want %q", name, err, len(changes), c.want)
		}
	}
}

// Whatever was formatted before, in whatever order: what a plan does is all that there is to do, and a partition with content stays.
func TestAPlanThatIsCarriedOutLeavesNothingToDo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seen := empty(rapid.SampledFrom([]uint32{0, 1000}).Draw(r, "user"))
		for range rapid.IntRange(1, 5).Draw(r, "formats") {
			w := wish()
			w.Partitions = rapid.IntRange(0, 4).Draw(r, "partitions")
			w.IPv6 = nil
			w.IPv4 = []string{rapid.SampledFrom([]string{"10.0.0.0/24", "10.1.0.0/24", DefaultIPv4}).Draw(r, "network")}
			if seen.EUID != 0 {
				w.IPv4 = []string{DefaultIPv4}
			}
			used := map[string]bool{}
			for path, d := range seen.Directories {
				if d.Empty && strings.HasPrefix(filepath.Base(path), PartitionPrefix) {
					d.Empty = rapid.Bool().Draw(r, "empty")
					seen.Directories[path] = d
				}
				used[path] = !d.Empty
			}
			changes, err := Plan(w, seen)
			if err != nil {
				if !strings.Contains(err.Error(), "is not empty") {
					r.Fatal(err)
				}
				continue
			}
			seen = done(t, w, seen, changes)
			if again, err := Plan(w, seen); err != nil || len(again) > 0 {
				r.Fatalf("left to do is %v, %v", told(again), err)
			}
			for path, was := range used {
				if _, is := seen.Directories[path]; was && !is {
					r.Fatalf("%s was in use and is gone", path)
				}
			}
		}
	})
}
