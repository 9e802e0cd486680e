// Command sensordoc writes docs/sensors.md from the built-in sensors. With -check it writes nothing and
// fails when the file differs.
//
//	go run ./internal/sensor/builtin/cmd/sensordoc [-check] ../docs/sensors.md
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
)

func main() {
	check := flag.Bool("check", false, "compare with the file instead of writing it")
	flag.Parse()
	if err := run(flag.Args(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "sensordoc:", err)
		os.Exit(1)
	}
}

func run(files []string, check bool) error {
	if len(files) != 1 {
		return fmt.Errorf("cannot go on: exactly one file is needed, %d are given", len(files))
	}
	text := builtin.Document()
	if !check {
		return os.WriteFile(files[0], []byte(text), 0o644)
	}
	now, err := os.ReadFile(files[0])
	if err != nil {
		return fmt.Errorf("cannot check the document: %w", err)
	}
	if string(now) != text {
		return fmt.Errorf("cannot accept %s: it differs from the code; run sensordoc without -check", files[0])
	}
	return nil
}
