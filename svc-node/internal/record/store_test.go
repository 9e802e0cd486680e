package record

import (
	"os"
	"path/filepath"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, s *Store, partition, run string) {
	t.Helper()
	if err := s.Write(&storev1.NodePartition{Desired: &masterv1.DesiredPartition{Partition: partition}, LastSuccessRunId: run}); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsSurviveARestartAndAreForgotten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	write(t, s, "slappart0", "r1")
	write(t, s, "slappart0", "r2")
	write(t, s, "slappart1", "r3")
	if err := s.Count(&storev1.NodeCounter{BootId: "b", Sequence: 7}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Remove("slappart1"); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, dir)
	all, broken, err := again.Partitions()
	if err != nil || len(broken) != 0 || len(all) != 1 || all[0].GetLastSuccessRunId() != "r2" {
		t.Errorf("records are %v, %v, %v", all, broken, err)
	}
	if c, err := again.Counter(); err != nil || c.GetSequence() != 7 {
		t.Errorf("counter is %v, %v", c, err)
	}
}

func TestABrokenRecordIsToldAndSetAside(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	write(t, s, "slappart0", "r1")
	for name, content := range map[string][]byte{"slappart1.pb": {}, "slappart2.pb": {0xff, 0xff}} {
		if err := os.WriteFile(filepath.Join(dir, "partition", name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, broken, err := open(t, dir).Partitions()
	if err != nil || len(broken) != 2 || len(all) != 1 {
		t.Errorf("records are %v, %v, %v", all, broken, err)
	}
	if all, broken, err = open(t, dir).Partitions(); err != nil || len(broken) != 0 || len(all) != 1 {
		t.Errorf("the second time records are %v, %v, %v", all, broken, err)
	}
}
