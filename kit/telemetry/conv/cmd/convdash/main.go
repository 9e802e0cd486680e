package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"
)

type config struct {
	Check  bool   `help:"Do not write; fail when a file differs from what would be written."`
	Folder string `arg:"" help:"The folder, tilt/observability/grafana/dashboards."`
}

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("convdash"), kong.Description("Generates Grafana dashboards from kit/telemetry/conv."))
	if err := run(cfg, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "convdash:", err)
		os.Exit(1)
	}
}

func run(cfg config, out io.Writer) error {
	for _, b := range boards() {
		want, err := json.MarshalIndent(b.model(), "", "  ")
		if err != nil {
			return err
		}
		want = append(want, '\n')
		file := filepath.Join(cfg.Folder, b.uid+".json")
		if !cfg.Check {
			if err := os.WriteFile(file, want, 0o644); err != nil { //nolint:gosec // Grafana is another user
				return err
			}
			continue
		}
		have, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("cannot check %s: %w", file, err)
		}
		if !bytes.Equal(have, want) {
			return fmt.Errorf("cannot accept %s: it differs from kit/telemetry/conv; generate it again", file)
		}
		fmt.Fprintln(out, file, "is up to date")
	}
	return nil
}
