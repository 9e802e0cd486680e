package spool

import (
	"os"
	"path/filepath"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

func report(run string) *storev1.NodeReport {
	return &storev1.NodeReport{Report: &masterv1.ReportRunRequest{RunId: run}}
}

func open(t *testing.T, dir string, limit int) *Spool {
	t.Helper()
	s, err := Open(dir, limit, true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Spool, key, run string) {
	t.Helper()
	if err := s.Put(key, report(run)); err != nil {
		t.Fatal(err)
	}
}

// drain takes everything out, oldest first.
func drain(t *testing.T, s *Spool) (runs []string) {
	t.Helper()
	for {
		m := new(storev1.NodeReport)
		name, ok, err := s.First(m)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return runs
		}
		runs = append(runs, m.GetReport().GetRunId())
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

func TestTheSpoolSurvivesARestartInItsOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	put(t, s, "", "a")
	put(t, s, "slappart0", "b")
	put(t, s, "", "c")
	// A write that kill -9 cut short is no message.
	if err := os.WriteFile(filepath.Join(dir, ".new-123"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, 10)
	put(t, again, "", "d")
	put(t, again, "slappart0", "second of its key")
	equal(t, "after a restart", drain(t, again), "a", "b", "c", "d")
	equal(t, "after it was drained", drain(t, open(t, dir, 10)))
}

func TestTheOldestGivesWayAndIsCounted(t *testing.T) {
	s := open(t, t.TempDir(), 3)
	for _, run := range []string{"a", "b", "c", "d", "e"} {
		put(t, s, "", run)
	}
	if s.Len() != 3 || s.Dropped() != 2 {
		t.Errorf("%d wait, %d were dropped", s.Len(), s.Dropped())
	}
	equal(t, "what is left", drain(t, s), "c", "d", "e")
}

func TestAKeyHoldsOneMessageAndCanBeForgotten(t *testing.T) {
	s := open(t, t.TempDir(), 10)
	put(t, s, "p0", "a")
	put(t, s, "p0", "b")
	put(t, s, "p1", "c")
	for range 2 {
		if err := s.RemoveKey("p0"); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "p0", "d")
	equal(t, "what is left", drain(t, s), "c", "d")
}

func TestABrokenMessageIsToldDroppedAndDoesNotBlock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	put(t, s, "", "a")
	put(t, s, "", "b")
	if err := os.WriteFile(filepath.Join(dir, s.entries[0].file), []byte{0xff, 0xff}, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.First(new(storev1.NodeReport)); err == nil {
		t.Error("a broken message was read")
	}
	equal(t, "what is left", drain(t, s), "b")
	if s.Dropped() != 1 {
		t.Errorf("%d were dropped", s.Dropped())
	}
}
