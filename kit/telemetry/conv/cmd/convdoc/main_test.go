package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

func TestThePageNamesEveryDeclaration(t *testing.T) {
	var page bytes.Buffer
	d := conv.All()
	write(&page, d)
	for _, a := range d.Attributes {
		if !strings.Contains(page.String(), "| `"+string(a.Key)+"` |") {
			t.Errorf("no row of %s", a.Key)
		}
	}
	for _, m := range d.Metrics {
		if !strings.Contains(page.String(), "| `"+m.Name+"` |") {
			t.Errorf("no row of %s", m.Name)
		}
	}
}

func TestCheckFindsDriftAndWritesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "telemetry.md")
	if err := run(config{File: file}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := run(config{File: file, Check: true}, io.Discard); err != nil {
		t.Errorf("what was just written differs: %v", err)
	}
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(config{File: file, Check: true}, io.Discard); err == nil {
		t.Error("drift was not found")
	}
	if b, _ := os.ReadFile(file); string(b) != "old" {
		t.Error("a check wrote the file")
	}
}

func TestTheRepositorysPageIsUpToDate(t *testing.T) {
	if err := run(config{File: "../../../../../docs/telemetry.md", Check: true}, io.Discard); err != nil {
		t.Error(err)
	}
}
