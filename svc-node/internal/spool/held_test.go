package spool

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsHeldIsSentInItsOrderAndGoesToTheDiskThatTakesItAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	put(t, s, "", "a")
	if err := s.Hold("p0", report("b")); err != nil {
		t.Fatal(err)
	}
	if err := s.Hold("p0", report("second of its key")); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.pb")); len(files) != 1 {
		t.Errorf("on the disk are %v", files)
	}
	put(t, s, "", "c")
	equal(t, "after the agent died", drain(t, open(t, dir, 10)), "a", "b", "c")
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	s := open(t, t.TempDir(), 10*MaxHeld)
	for range MaxHeld + 3 {
		if err := s.Hold("", report("x")); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() != MaxHeld || s.Dropped() != 3 {
		t.Errorf("%d wait, %d were dropped", s.Len(), s.Dropped())
	}
}

func TestAMessageThatTheDiskDoesNotLetGoIsNotSentTwice(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10)
	put(t, s, "", "a")
	// A folder with something in it in the place of the file is what cannot be removed, for root too.
	file := filepath.Join(dir, s.entries[0].file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(file, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(s.entries[0].file); err != nil || s.Len() != 0 {
		t.Errorf("%d wait, %v", s.Len(), err)
	}
	if err := os.Remove(filepath.Join(file, "x")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "", "b")
	equal(t, "after a restart", drain(t, open(t, dir, 10)), "b")
}
