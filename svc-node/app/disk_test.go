package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// disks are the folders that the node keeps things in; software releases are elsewhere.
func (n *node) disks() []string {
	return []string{filepath.Join(n.dir, "state"), filepath.Join(n.dir, "instance")}
}

// smallDisk puts disks of 4 MiB under what the node keeps; false where the test may not mount, of which it makes sure.
func smallDisk(t *testing.T, n *node) bool {
	t.Helper()
	for _, dir := range n.disks() {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
		if os.Geteuid() != 0 {
			if !errors.Is(err, syscall.EPERM) {
				t.Errorf("who is not root mounts: %v", err)
			}
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			n.stop()
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	return true
}

func (n *node) remount(flags uintptr) {
	n.t.Helper()
	for _, dir := range n.disks() {
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "size=4m"); err != nil {
			n.t.Fatal(err)
		}
	}
}

// full fills the disks until they take nothing more.
func (n *node) full() {
	n.t.Helper()
	for _, dir := range n.disks() {
		f, err := os.Create(filepath.Join(dir, "filler"))
		if err != nil {
			n.t.Fatal(err)
		}
		for block := make([]byte, 4096); err == nil; {
			_, err = f.Write(block)
		}
		if closeErr := f.Close(); closeErr != nil || !errors.Is(err, syscall.ENOSPC) {
			n.t.Fatal(err, closeErr)
		}
	}
}

func (n *node) emptied() {
	n.t.Helper()
	for _, dir := range n.disks() {
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
			n.t.Fatal(err)
		}
	}
}

// A disk that is full, and one that is read-only: services go on, promises are sensed, bangs and reports arrive, the report says
// why, nothing is half-written; and when the disk is good again nobody has to do anything.
func TestABadDisk(t *testing.T) {
	for name, disk := range map[string]struct {
		bad, good func(n *node)
		says      string
	}{
		"full": {(*node).full, (*node).emptied, "MiB free"},
		// The kernel makes a disk read-only under open files; a test cannot: the agent is started on it.
		"read-only": {func(n *node) {
			n.stop()
			n.remount(unix.MS_RDONLY)
			n.start()
		}, func(n *node) { n.remount(0) }, "read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, n *node) {
				if !smallDisk(t, n) {
					return
				}
				n.settled()
				applied, _ := n.processes.state()
				disk.bad(n)
				time.Sleep(time.Minute) // no order comes: the node itself finds it out
				if r := n.report(1); r.GetResult() != typev1.RunResult_RUN_RESULT_FAILURE || r.GetErrorType() != "disk" || !strings.Contains(r.GetError(), disk.says) {
					t.Errorf("report is %v", r)
				}
				if now, _ := n.processes.state(); now != applied || len(n.processes.look("slappart0")) != 1 {
					t.Error("a service was touched")
				}
				sensed, groups := n.sensors.count("answers"), count(n, func() []*typev1.SenseGroup { return n.groups })
				n.cut("master")
				n.processes.kill("slappart0", "web")
				time.Sleep(10 * time.Minute)
				n.heal("master")
				time.Sleep(2 * time.Minute)
				if n.sensors.count("answers") < sensed+4 || count(n, func() []*typev1.SenseGroup { return n.groups }) < groups+4 {
					t.Error("promises are not sensed")
				}
				if bangs := count(n, func() []*masterv1.BangRequest { return n.bangs }); bangs != 1 {
					t.Errorf("%d bangs came of one exit", bangs)
				}
				reports := count(n, func() []*masterv1.ReportRunRequest { return n.reports })
				disk.good(n)
				time.Sleep(30 * time.Second) // nobody orders anything
				if r := n.report(reports); r.GetResult() != typev1.RunResult_RUN_RESULT_SUCCESS {
					t.Errorf("on the good disk: %v", r)
				}
				n.stop()
				n.start() // reads back all that is on the disk
				time.Sleep(10 * time.Minute)
				seen := map[uint64]time.Time{}
				for _, g := range look(n.control, func() []*typev1.SenseGroup { return n.groups }) {
					if at, again := seen[g.GetSequence()]; again && !at.Equal(g.GetAt().AsTime()) {
						t.Errorf("two groups have number %d", g.GetSequence())
					}
					seen[g.GetSequence()] = g.GetAt().AsTime()
				}
				leftovers, _ := filepath.Glob(filepath.Join(n.dir, "state", "*", ".new-*"))
				if more, _ := filepath.Glob(filepath.Join(n.dir, "state", "*", "*", ".new-*")); len(leftovers)+len(more) > 0 {
					t.Errorf("half-written are %v %v", leftovers, more)
				}
			})
		})
	}
}
