package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/vow-os/vow/kit/telemetry/conv"
)

type config struct {
	Check bool   `help:"Do not write; fail when the file differs from what would be written."`
	File  string `arg:"" help:"The file, docs/telemetry.md."`
}

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("convdoc"), kong.Description("Generates docs/telemetry.md from kit/telemetry/conv."))
	if err := run(cfg, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "convdoc:", err)
		os.Exit(1)
	}
}

func run(cfg config, out io.Writer) error {
	var page bytes.Buffer
	write(&page, conv.All())
	if !cfg.Check {
		return os.WriteFile(cfg.File, page.Bytes(), 0o644) //nolint:gosec // documentation is for all
	}
	have, err := os.ReadFile(cfg.File)
	if err != nil {
		return fmt.Errorf("cannot check %s: %w", cfg.File, err)
	}
	if !bytes.Equal(have, page.Bytes()) {
		return fmt.Errorf("cannot accept %s: it differs from kit/telemetry/conv; generate it again", cfg.File)
	}
	fmt.Fprintln(out, cfg.File, "is up to date")
	return nil
}
