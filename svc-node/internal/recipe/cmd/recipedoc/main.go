// Command recipedoc writes docs/recipes.md from the recipes that are built in. With -check it writes nothing and
// fails when the file differs.
//
//	go run ./internal/recipe/cmd/recipedoc [-check] ../docs/recipes.md
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/vow-os/vow/svc-node/internal/recipe"
)

func main() {
	check := flag.Bool("check", false, "compare with the file instead of writing it")
	flag.Parse()
	if err := run(flag.Args(), *check); err != nil {
		fmt.Fprintln(os.Stderr, "recipedoc:", err)
		os.Exit(1)
	}
}

func run(files []string, check bool) error {
	if len(files) != 1 {
		return fmt.Errorf("cannot go on: exactly one file is needed, %d are given", len(files))
	}
	text := recipe.Recipes().Document()
	if !check {
		return os.WriteFile(files[0], []byte(text), 0o644)
	}
	now, err := os.ReadFile(files[0])
	if err != nil {
		return fmt.Errorf("cannot check the document: %w", err)
	}
	if string(now) != text {
		return fmt.Errorf("cannot accept %s: it differs from the code; run recipedoc without -check", files[0])
	}
	return nil
}
