package format

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// machineWish is a wish of a real machine, in folders that others can enter.
func machineWish(t *testing.T) Wish {
	t.Helper()
	dir, err := os.MkdirTemp("", "vow-format") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w := Wish{
		InstanceRoot: filepath.Join(dir, "instance"), SoftwareRoot: filepath.Join(dir, "software"), Partitions: 2,
		UserPrefix: fmt.Sprintf("vowtest%d-", os.Getpid()), SoftwareUser: fmt.Sprintf("vowsoft%d", os.Getpid()), Interface: "lo", IPv4: []string{DefaultIPv4},
	}
	t.Cleanup(func() {
		for i := range 3 {
			if os.Getuid() == 0 {
				_ = exec.Command("/usr/sbin/userdel", w.userName(i)).Run() // with its group; it may never have been made
			}
		}
		if os.Getuid() == 0 {
			_ = exec.Command("/usr/sbin/userdel", w.SoftwareUser).Run() // likewise
		}
	})
	return w
}

func formatNow(t *testing.T, w Wish) []Change {
	t.Helper()
	seen, err := Look(w)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := Plan(w, seen)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), w, changes, func(Change) {}); err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestAMachineIsFormattedOnceAndItsUsersAreTheAgents(t *testing.T) {
	w := machineWish(t)
	if first := formatNow(t, w); len(first) < 5 {
		t.Errorf("an empty machine wants %s", told(first))
	}
	if again := formatNow(t, w); len(again) > 0 {
		t.Errorf("a formatted one wants %s", told(again))
	}
	layout, err := Read(w.InstanceRoot)
	if err != nil {
		t.Fatal(err)
	}
	users, err := layout.Users(os.Getuid())
	if err != nil || len(users) != 2 {
		t.Fatalf("users are %v, %v", users, err)
	}
	if _, err := layout.Users(os.Getuid() + 1); err == nil || !strings.Contains(err.Error(), "formatted them") {
		t.Errorf("another user's agent is told %v", err)
	}
	for name, u := range users {
		d, err := lookAt(filepath.Join(w.InstanceRoot, name))
		if err != nil || d.Mode.Perm() != 0o750 || !d.Empty {
			t.Errorf("%s is %+v, %v", name, d, err)
		}
		if root := os.Getuid() == 0; root != u.Switch || root && (d.UID != u.UID || d.GID != u.GID || d.UID == 0) {
			t.Errorf("%s is of %+v, its user is %+v", name, d, u)
		}
	}

	// What somebody did since is put right; content is kept, and keeps its partition.
	part := filepath.Join(w.InstanceRoot, "slappart1")
	if err := os.Chmod(part, 0o777); err != nil {
		t.Fatal(err)
	}
	if changes := formatNow(t, w); len(changes) != 1 || changes[0].Action != GiveDirectory {
		t.Errorf("an open partition wants %s", told(changes))
	}
	if err := os.WriteFile(filepath.Join(part, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fewer := w
	fewer.Partitions = 0
	seen, err := Look(fewer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Plan(fewer, seen); err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("without partitions: %v", err)
	}
	if err := os.Remove(filepath.Join(part, "data")); err != nil {
		t.Fatal(err)
	}
	formatNow(t, fewer)
	if _, err := os.Stat(part); !os.IsNotExist(err) {
		t.Errorf("the free partition is still there: %v", err)
	}
}

func TestAnAddressIsAddedOnceAndRemovedOnce(t *testing.T) {
	// A network of its own, on a thread that ends with the test's goroutine.
	outcome := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			err := changeAddress("lo", netip.MustParseAddr("10.99.0.1"), true)
			if errors.Is(err, unix.EPERM) {
				err = nil // who may not make a network may add no address, and is told
			}
			outcome <- err
			return
		}
		outcome <- func() error {
			for _, text := range []string{"10.99.0.1", "fd00:99::1"} {
				a := netip.MustParseAddr(text)
				for _, add := range []bool{true, true, false, false} {
					if err := changeAddress("lo", a, add); err != nil {
						return fmt.Errorf("%s, add %t: %w", text, add, err)
					}
					seen := Seen{Addresses: map[netip.Addr]bool{}, Machine: map[netip.Addr]bool{}}
					if err := seen.interfaces("lo"); err != nil {
						return err
					}
					if seen.Addresses[a] != add || seen.Machine[a] != add || !seen.Interface {
						return fmt.Errorf("after add %t of %s there are %v", add, text, seen.Addresses)
					}
				}
			}
			return nil
		}()
	}()
	if err := <-outcome; err != nil {
		t.Error(err)
	}
	if err := changeAddress("no-such-one", netip.MustParseAddr("10.99.0.1"), true); err == nil || !strings.Contains(err.Error(), "no-such-one") {
		t.Errorf("an interface that is not there gives %v", err)
	}
}

func TestAWishIsReadFromAFileOverWhatIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "computer.yaml")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("partitions: 7\nipv4: [10.1.0.0/16]\n")
	w, err := wish().Load(path)
	if err != nil || w.Partitions != 7 || w.IPv4[0] != "10.1.0.0/16" || w.UserPrefix != "slapuser" {
		t.Errorf("YAML gives %+v, %v", w, err)
	}
	write(`{"partitions": 8, "interface": "eth0"}`)
	if w, err = wish().Load(path); err != nil || w.Partitions != 8 || w.Interface != "eth0" {
		t.Errorf("JSON gives %+v, %v", w, err)
	}
	write("partition: 7\n")
	if _, err := wish().Load(path); err == nil || !strings.Contains(err.Error(), "partition") || !strings.Contains(err.Error(), path) {
		t.Errorf("a typing error gives %v", err)
	}
}
