package main

import (
	"github.com/vow-os/vow/bench/report"
)

func main() {
	report.Main(
		report.Measure{Name: "python", Run: measurePython},
		report.Measure{Name: "verdict", Run: measureVerdict},
		report.Measure{Name: "executable", Run: measureExecutable},
		report.Measure{Name: "builtin", Run: measureBuiltin},
		report.Measure{Name: "stream", Run: measureStream},
		report.Measure{Name: "bang", Run: measureBang},
	)
}
