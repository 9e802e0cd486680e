package senselog

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

func open(t *testing.T, dir string, rebooted bool) *Log {
	t.Helper()
	l, err := Open(dir, rebooted, func() {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t *testing.T, l *Log, allocation, promise string) uint64 {
	t.Helper()
	g := &typev1.SenseGroup{Promise: promise, Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: strings.Repeat("x", 1000)}}}
	if err := l.Append(allocation, g); err != nil {
		t.Fatal(err)
	}
	return g.GetSequence()
}

func TestSequencesGoOnAcrossRestartsPerAllocationAndPromise(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, false)
	for want := uint64(1); want <= 3; want++ {
		if got := add(t, l, "t1.a1", "web"); got != want {
			t.Fatalf("group is %d, want %d", got, want)
		}
	}
	if add(t, l, "t1.a1", "db") != 1 || add(t, l, "t1.a2", "web") != 1 {
		t.Error("promises share their numbers")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, false)
	if got := add(t, again, "t1.a1", "web"); got != 4 {
		t.Errorf("after a restart the group is %d, want 4", got)
	}
	groups, err := again.Groups("t1.a1", "web")
	if err != nil || len(groups) != 4 || groups[0].GetSequence() != 1 {
		t.Errorf("held are %v, %v", groups, err)
	}
}

func TestAfterABootNoNumberIsGivenTwice(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, false)
	add(t, l, "t1.a1", "web")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := add(t, open(t, dir, true), "t1.a1", "web"); got != 1+Skipped+1 {
		t.Errorf("after a boot the group is %d", got)
	}
}

// svc-promise ignores a group that is not newer than the newest: what a machine that lost its disk senses has to be newer.
func TestAMachineThatLostItsLogCountsAboveWhatItCountedBefore(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	sense := func(l *Log, at time.Time) uint64 {
		g := &typev1.SenseGroup{Promise: "web", At: timestamppb.New(at)}
		if err := l.Append("t1.a1", g); err != nil {
			t.Fatal(err)
		}
		return g.GetSequence()
	}
	before, last := open(t, t.TempDir(), false), uint64(0)
	for n := range 1000 { // as fast as a promise is ever sensed
		last = sense(before, at.Add(time.Duration(n)*50*time.Millisecond))
	}
	if first := sense(open(t, t.TempDir(), true), at.Add(1000*50*time.Millisecond)); first <= last {
		t.Errorf("on a new disk it counts from %d, and had come to %d", first, last)
	}
}

func TestTheLogIsBoundedInMemoryAndOnDisk(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, false)
	for range 3000 { // 3 MB
		add(t, l, "t1.a1", "web")
	}
	if groups, err := l.All("t1.a1"); err != nil || len(groups) != Kept || groups[Kept-1].GetSequence() != 3000 {
		t.Errorf("%d groups are held, %v", len(groups), err)
	}
	if info, err := os.Stat(l.path("t1.a1")); err != nil || info.Size() > MaxFile+2000 {
		t.Errorf("the file has %v, %v", info, err)
	}
	if got := add(t, open(t, dir, false), "t1.a1", "web"); got != 3001 {
		t.Errorf("the next group is %d", got)
	}
}

func TestAThousandPromisesDoNotRewriteTheLogEachTime(t *testing.T) {
	l := open(t, t.TempDir(), false)
	rewrites, before := 0, int64(0)
	for range 2 * Kept {
		for p := range 1000 {
			g := &typev1.SenseGroup{Promise: "promise-" + strconv.Itoa(p), Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: "all well"}}}
			if err := l.Append("t1.a1", g); err != nil {
				t.Fatal(err)
			}
			if now := l.allocations["t1.a1"].size; now < before {
				rewrites++
			}
			before = l.allocations["t1.a1"].size
		}
	}
	held, err := l.All("t1.a1")
	if err != nil || len(held) != 1000*Kept {
		t.Fatalf("%d groups are held, %v", len(held), err)
	}
	if rewrites > 6 {
		t.Errorf("the log was rewritten %d times in %d groups", rewrites, 2*Kept*1000)
	}
	size := 0
	for _, g := range held {
		size += proto.Size(g) + 4
	}
	if before > int64(2*size+MaxFile) {
		t.Errorf("the file has %d bytes for %d that are held", before, size)
	}
}

func TestLargeGroupsAreHeldInSmallerNumber(t *testing.T) {
	l := open(t, t.TempDir(), false)
	for range 2 * Kept {
		g := &typev1.SenseGroup{Promise: "web", Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: strings.Repeat("x", 5000)}}}
		if err := l.Append("t1.a1", g); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := l.Groups("t1.a1", "web")
	if err != nil || len(groups) < Least || len(groups) > MaxWindow/5000+1 || groups[len(groups)-1].GetSequence() != 2*Kept {
		t.Errorf("%d groups are held, %v", len(groups), err)
	}
}

func TestAGroupNamesTheOneBeforeItAlsoAfterABoot(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, false)
	add(t, l, "t1.a1", "web")
	add(t, l, "t1.a1", "web")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, true)
	add(t, l, "t1.a1", "web")
	groups, err := l.Groups("t1.a1", "web")
	if err != nil || len(groups) != 3 || groups[0].GetPrevious() != 0 || groups[1].GetPrevious() != 1 || groups[2].GetPrevious() != 2 || groups[2].GetSequence() != 2+Skipped+1 {
		t.Errorf("groups are %v, %v", groups, err)
	}
}

func TestARecordThatWasCutShortCostsItselfOnly(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, false)
	add(t, l, "t1.a1", "web")
	add(t, l, "t1.a1", "web")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "t1.a1.log")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-10); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, true)
	add(t, again, "t1.a1", "web")
	if groups, err := again.All("t1.a1"); err != nil || len(groups) != 2 || groups[0].GetSequence() != 1 {
		t.Errorf("held are %v, %v", groups, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if groups, err := open(t, dir, false).All("t1.a1"); err != nil || len(groups) != 2 {
		t.Errorf("after another restart held are %v, %v", groups, err)
	}
}

func TestAForgottenAllocationStartsAnew(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, false)
	add(t, l, "t1.a1", "web")
	for range 2 {
		if err := l.Forget("t1.a1"); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left are %v, %v", files, err)
	}
	if got := add(t, l, "t1.a1", "web"); got != 1 {
		t.Errorf("group is %d", got)
	}
}

// FuzzLoad: whatever a crash made of the file, the log opens, and what is added after it is read again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{4, 10, 2, 16, 5})
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "t1.a1.log"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		sequence := add(t, open(t, dir, false), "t1.a1", "web")
		groups, err := open(t, dir, false).Groups("t1.a1", "web")
		if err != nil || len(groups) == 0 || groups[len(groups)-1].GetSequence() != sequence {
			t.Errorf("group %d was added, held are %v, %v", sequence, groups, err)
		}
	})
}
