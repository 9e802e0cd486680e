package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/bench/report"
)

func main() {
	report.Main(
		report.Measure{Name: "store", Run: measureStore},
		report.Measure{Name: "orders", Run: measureOrders},
		report.Measure{Name: "rpc", Run: measureRPC},
		report.Measure{Name: "fanout", Run: measureFanOut},
		report.Measure{Name: "memory", Run: measureMemory},
		report.Measure{Name: "takeover", Run: measureTakeover},
		report.Measure{Name: "restart", Run: measureRestart},
	)
}

// costs notes the processor time of each service for each of a number of things: it hardly depends on what else the machine does, which rates do.
func costs(r *report.Report, what string, before, after map[string]time.Duration, times float64) {
	var each []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if used := after[name] - before[name]; used > 0 && times > 0 {
			each = append(each, fmt.Sprintf("%s %.0f µs", name, used.Seconds()*1e6/times))
		}
	}
	r.Note("processor time %s: %s", what, strings.Join(each, ", "))
}
