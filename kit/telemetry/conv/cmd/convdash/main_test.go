package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

const folder = "../../../../../tilt/observability/grafana/dashboards"

func TestTheRepositorysDashboardsAreUpToDate(t *testing.T) {
	if err := run(config{Folder: folder, Check: true}, io.Discard); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) != len(boards()) {
		t.Errorf("%d files, want one for each of %d dashboards: %v", len(files), len(boards()), err)
	}
}

func TestCheckFindsDriftAndWritesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := run(config{Folder: dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, boards()[0].uid+".json")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(config{Folder: dir, Check: true}, io.Discard); err == nil {
		t.Error("drift was not found")
	}
	if b, _ := os.ReadFile(file); string(b) != "old" {
		t.Error("a check wrote the file")
	}
}

func TestEveryMetricIsOnADashboard(t *testing.T) {
	var all strings.Builder
	for _, b := range boards() {
		for _, row := range b.rows {
			for _, p := range row.panels {
				for _, q := range p.queries {
					all.WriteString(q.text + "\n")
				}
			}
		}
	}
	for _, m := range conv.Metrics() {
		if !strings.Contains(all.String(), name(m)) {
			t.Errorf("no panel shows %s (%s)", m.Name, name(m))
		}
	}
}

// ours is a word of a rule that may be a metric of ours or a label.
var ours = regexp.MustCompile(`\bvow_[a-z_]+`)

func TestWhatRulesNameIsDeclared(t *testing.T) {
	declared := map[string]bool{}
	for _, m := range conv.Metrics() {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			declared[name(m)+suffix] = true
		}
	}
	for _, a := range conv.Attributes() {
		declared[label(a.Key)] = true
	}
	files, err := filepath.Glob("../../../../../tilt/observability/rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range ours.FindAllString(string(data), -1) {
			if !declared[word] {
				t.Errorf("%s names %s, which is not declared in kit/telemetry/conv", file, word)
			}
		}
	}
}
