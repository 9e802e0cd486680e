package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/supervise"
)

func unit(name string, incarnation uint64) supervise.Record {
	return supervise.Record{Unit: supervise.Unit{
		Process: supervise.Process{Key: supervise.Key{Partition: "p", Name: name}, Kind: supervise.Service}, State: supervise.Running,
		Incarnation: incarnation, PID: 7,
	}}
}

func report(name string) supervise.Report {
	return supervise.Report{Exit: supervise.Exit{Key: supervise.Key{Partition: "p", Name: name}, Kind: supervise.Service}}
}

func open(t *testing.T, dir string) *journal {
	t.Helper()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.close)
	return j
}

func seqs(j *journal) []uint64 {
	exits, _ := j.after(0)
	var all []uint64
	for _, e := range exits {
		all = append(all, e.Seq)
	}
	return all
}

func TestTheJournalSaysTheSameAfterItIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	j.append(entry{Boot: "b"})
	j.write([]supervise.Effect{unit("a", 1), unit("b", 2), report("a"), report("b")})
	j.write([]supervise.Effect{supervise.Forget{Key: supervise.Key{Partition: "p", Name: "b"}}, report("a")})
	if err := j.ack(2); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once from lines, once from a rewritten file
		j = open(t, dir)
		last, acked, _ := j.position()
		if got := seqs(j); len(got) != 1 || got[0] != 3 || last != 3 || acked != 2 || j.incarnation != 2 || len(j.units) != 1 || j.boot != "b" {
			t.Fatalf("exits %v, last %d, acknowledged %d, incarnation %d, units %v, boot %q", got, last, acked, j.incarnation, j.units, j.boot)
		}
	}
	if err := j.ack(9); err == nil || !strings.Contains(err.Error(), "cannot acknowledge exit 9: the last one is 3") {
		t.Errorf("an acknowledgement from the future gives %v", err)
	}
	if err := j.ack(3); err != nil {
		t.Fatal(err)
	}
	j.write([]supervise.Effect{report("a")})
	if got := seqs(open(t, dir)); len(got) != 1 || got[0] != 4 {
		t.Errorf("numbers start again: %v", got)
	}
}

func TestALineCutShortByACrashIsDropped(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	j.write([]supervise.Effect{unit("a", 1), report("a")})
	path := filepath.Join(dir, "journal")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir)
		if again.damaged > 0 {
			t.Fatalf("cut after %d bytes, %d lines are damaged", cut, again.damaged)
		}
		again.write([]supervise.Effect{report("a")})
		if got := seqs(again); len(got) == 0 || int(got[len(got)-1]) != len(got) {
			t.Fatalf("cut after %d bytes, the exits are %v", cut, got)
		}
	}
}

func TestADamagedLineLosesOnlyItself(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	j.write([]supervise.Effect{unit("a", 1), unit("b", 2)})
	path := filepath.Join(dir, "journal")
	whole, _ := os.ReadFile(path)
	if err := os.WriteFile(path, bytes.Replace(whole, []byte(`"name":"a"`), []byte(`"name":a"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir); again.damaged != 1 || len(again.units) != 1 {
		t.Errorf("%d lines are damaged, the units are %v", again.damaged, again.units)
	}
}

func TestAWriteThatFailsIsToldAndRepairedByTheNext(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	j.write([]supervise.Effect{unit("a", 1)})
	_ = j.file.Close() // as a full disk: writes fail
	j.write([]supervise.Effect{unit("b", 2), report("a")})
	if j.broken == nil {
		t.Fatal("the failure is not told")
	}
	if got := seqs(j); len(got) != 1 {
		t.Errorf("the agent is told of %v", got)
	}
	j.write([]supervise.Effect{unit("c", 3)})
	if again := open(t, dir); j.broken != nil || len(again.units) != 3 || len(seqs(again)) != 1 {
		t.Errorf("after the repair (%v) the journal has %v and exits %v", j.broken, again.units, seqs(again))
	}
}

func TestUnacknowledgedExitsAreBoundedAndTheDroppedCounted(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	for range maxExits + 10 {
		j.write([]supervise.Effect{report("a")})
	}
	for _, j := range []*journal{j, open(t, dir), open(t, dir)} {
		got := seqs(j)
		if last, _, dropped := j.position(); len(got) != maxExits || got[0] != 11 || last != maxExits+10 || dropped != 10 {
			t.Errorf("%d exits from %d to %d, %d dropped", len(got), got[0], last, dropped)
		}
	}
}

func TestTheFileIsRewrittenBeforeItGrowsWithoutBound(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	big := unit("a", 1)
	big.Unit.Last = strings.Repeat("x", 64<<10)
	for range 200 { // 12 MB of lines about one unit
		j.write([]supervise.Effect{big})
	}
	info, err := os.Stat(filepath.Join(dir, "journal"))
	if err != nil || info.Size() > compactAt+(128<<10) {
		t.Errorf("the journal has %d bytes (%v)", info.Size(), err)
	}
}
