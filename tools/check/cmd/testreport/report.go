package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output: the package, and sometimes the test binary it is for
	Test        string
	Output      string
	Elapsed     float64 // seconds
	FailedBuild string
}

// report collects output until it is known whether anyone needs to read it.
type report struct {
	out     io.Writer
	ci      bool // a skip is a failure
	output  map[string][]string
	builds  map[string][]string
	skipped []string
	failed  []string
}

func newReport(out io.Writer, ci bool) *report {
	return &report{out: out, ci: ci, output: map[string][]string{}, builds: map[string][]string{}}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprint(r.out, string(line)) // go's own complaints are not JSON
			} else {
				r.handle(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) handle(e event) {
	top, _, _ := strings.Cut(e.Test, "/")
	key := e.Package + "\x00" + top
	switch e.Action {
	case "build-output":
		r.builds[e.ImportPath] = append(r.builds[e.ImportPath], e.Output)
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(r.output[key])))
		}
		r.close(e, top, key, "SKIP")
	case "fail":
		if e.Test == "" || e.Test == top {
			r.failed = append(r.failed, strings.TrimSpace(e.Package+" "+e.Test))
		}
		r.close(e, top, key, "FAIL")
	case "pass":
		r.close(e, top, key, "PASS")
	}
}

// close prints a top-level test, or a package, that has ended.
func (r *report) close(e event, top, key, verdict string) {
	if e.Test != top {
		return // a subtest: its parent speaks for it
	}
	lines := r.output[key]
	delete(r.output, key)
	switch {
	case e.Test != "" && verdict == "FAIL":
		for _, l := range lines {
			if !strings.HasPrefix(l, "=== ") {
				fmt.Fprint(r.out, l)
			}
		}
	case e.Test != "":
		fmt.Fprintf(r.out, "--- %s: %s (%.2fs)\n", verdict, e.Test, e.Elapsed)
	default:
		r.closePackage(e, lines, verdict)
	}
}

func (r *report) closePackage(e event, lines []string, verdict string) {
	if verdict == "FAIL" {
		for _, l := range r.builds[e.FailedBuild] {
			fmt.Fprint(r.out, l)
		}
		// a test that was still running when its package died (panic, time-out, race) never ended: what it said is here
		for key, rest := range r.output {
			if strings.HasPrefix(key, e.Package+"\x00") {
				lines = append(rest, lines...)
				delete(r.output, key)
			}
		}
	}
	for _, l := range lines {
		if l != "PASS\n" && (verdict == "FAIL" || strings.HasPrefix(l, "ok ")) {
			fmt.Fprint(r.out, l)
		}
	}
}

// reason is what a skipped test said last before it was skipped.
func reason(lines []string) string {
	said := ""
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(l, "--- ") {
			said = l
		}
	}
	if said == "" {
		return "no reason given"
	}
	return said
}

// end prints what was skipped and what failed, and reports whether the run may count as passed.
func (r *report) end() bool {
	for _, s := range r.skipped {
		fmt.Fprintln(r.out, "skipped:", s)
	}
	for _, f := range r.failed {
		fmt.Fprintln(r.out, "failed:", f)
	}
	if r.ci && len(r.skipped) > 0 {
		fmt.Fprintln(r.out, "failed: a skipped test fails in CI")
		return false
	}
	return len(r.failed) == 0
}
