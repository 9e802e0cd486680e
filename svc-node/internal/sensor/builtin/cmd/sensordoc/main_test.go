package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheDocumentIsWhatTheCodeSays(t *testing.T) {
	if err := run([]string{filepath.Join("..", "..", "..", "..", "..", "..", "docs", "sensors.md")}, true); err != nil {
		t.Error(err)
	}
}

func TestADocumentThatDiffersIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sensors.md")
	if err := run([]string{file}, false); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{file}, true); err != nil {
		t.Errorf("what was just written is refused: %v", err)
	}
	if err := os.WriteFile(file, []byte("# Sensors\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{file}, true); err == nil {
		t.Error("another document is accepted")
	}
}
