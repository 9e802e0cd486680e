package format

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A machine that was formatted when releases were root's: the next format gives all of them away, and only them.
func TestASoftwareRootOfRootBecomesTheSoftwareUsers(t *testing.T) {
	w := machineWish(t)
	formatNow(t, w)
	layout, err := Read(w.InstanceRoot)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		if u, err := layout.SoftwareUser(os.Getuid()); err != nil || u.Switch || layout.Software != (Account{}) {
			t.Errorf("an unprivileged agent installs as %+v, %v", u, err)
		}
		return
	}
	outside := filepath.Join(filepath.Dir(w.SoftwareRoot), "precious")
	release := filepath.Join(w.SoftwareRoot, strings.Repeat("0", 32))
	for _, err := range []error{
		os.WriteFile(outside, nil, 0o600), os.MkdirAll(filepath.Join(release, "bin"), 0o755), os.WriteFile(filepath.Join(release, "bin", "tool"), nil, 0o755),
		os.Link(filepath.Join(release, "bin", "tool"), filepath.Join(release, "bin", "again")), os.Symlink(outside, filepath.Join(release, "link")),
		syscall.Mkfifo(filepath.Join(release, "pipe"), 0o600), os.Chown(w.SoftwareRoot, 0, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	layout.Software, layout.Wish.SoftwareUser = Account{}, "" // as an older vow wrote it
	if err := layout.write(); err != nil {
		t.Fatal(err)
	}
	if _, err := layout.SoftwareUser(0); err == nil || !strings.Contains(err.Error(), "vow node format --yes") {
		t.Errorf("an agent over that layout is told %v", err)
	}
	changes := formatNow(t, w)
	if len(changes) != 2 || changes[0].Action != GiveDirectory || !strings.Contains(changes[0].Detail, "all of it") || changes[1].Action != WriteLayout {
		t.Errorf("the plan was %s", told(changes))
	}
	if again := formatNow(t, w); len(again) != 0 {
		t.Errorf("once more it is %s", told(again))
	}
	if layout, err = Read(w.InstanceRoot); err != nil {
		t.Fatal(err)
	}
	u, err := layout.SoftwareUser(0)
	if err != nil || !u.Switch || u.Name != w.SoftwareUser {
		t.Fatalf("the software user is %+v, %v", u, err)
	}
	count := 0
	err = filepath.WalkDir(w.SoftwareRoot, func(path string, entry fs.DirEntry, err error) error {
		info, infoErr := entry.Info()
		if err != nil || infoErr != nil {
			t.Fatal(err, infoErr)
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != u.UID || stat.Gid != u.GID {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
		count++
		return nil
	})
	if err != nil || count != 7 {
		t.Errorf("%d files, %v", count, err)
	}
	if info, err := os.Stat(outside); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("what a link leads to is %+v, %v", info, err)
	}

	// What is root's in a folder that the software user can write in is given too, unless it has another name.
	if err := os.WriteFile(filepath.Join(w.SoftwareRoot, "root's"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if changes := formatNow(t, w); len(changes) != 1 || !strings.Contains(changes[0].Detail, "root's is another's") {
		t.Errorf("the plan was %s", told(changes))
	}
	if err := os.Link(outside, filepath.Join(w.SoftwareRoot, "second")); err != nil {
		t.Fatal(err)
	}
	seen, err := Look(w)
	if err != nil {
		t.Fatal(err)
	}
	if changes, err = Plan(w, seen); err != nil || len(changes) != 1 {
		t.Fatalf("the plan is %s, %v", told(changes), err)
	}
	if err := Apply(t.Context(), w, changes, func(Change) {}); err == nil || !strings.Contains(err.Error(), "second: it has a second name") {
		t.Errorf("a second name of a file of root's: %v", err)
	}
	if info, err := os.Stat(outside); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("it is given away: %+v, %v", info, err)
	}
	if err := os.Remove(filepath.Join(w.SoftwareRoot, "second")); err != nil {
		t.Fatal(err)
	}

	// A user that went is missed.
	if err := execute(t.Context(), "userdel", w.SoftwareUser); err != nil {
		t.Fatal(err)
	}
	if _, err := layout.SoftwareUser(0); err == nil || !strings.Contains(err.Error(), "is not there as it was formatted") {
		t.Errorf("without the user: %v", err)
	}
}
