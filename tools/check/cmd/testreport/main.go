// Command testreport reads `go test -json` and prints what `go test -v` would, without the chatter of tests that pass: one
// line per top-level test and per package as it ends, and everything a failing test or package said. With CI set in the
// environment a skipped test fails the run: a check that did not run must not look green.
//
// Usage: go test -json … | testreport
package main

import (
	"fmt"
	"os"
)

func main() {
	r := newReport(os.Stdout, os.Getenv("CI") != "")
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the test events:", err)
		os.Exit(2)
	}
	if !r.end() {
		os.Exit(1)
	}
}
