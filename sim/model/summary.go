package model

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/vow-os/vow/svc-master/fleet"
)

// Add sums what happened; of Converged the longest is kept.
func (s *Summary) Add(o *Summary) {
	s.Steps, s.Virtual, s.Converged = s.Steps+o.Steps, s.Virtual+o.Virtual, max(s.Converged, o.Converged)
	for i := range s.Bangs {
		s.Bangs[i] += o.Bangs[i]
	}
	x, y := reflect.ValueOf(s).Elem(), reflect.ValueOf(o).Elem()
	for i := range x.NumField() {
		switch name := x.Type().Field(i).Name; {
		case name == "Seed" || name == "Steps" || x.Field(i).Kind() != reflect.Uint64:
		default:
			x.Field(i).SetUint(x.Field(i).Uint() + y.Field(i).Uint())
		}
	}
}

// String tells it in words.
func (s *Summary) String() string {
	var bangs []string
	for outcome, n := range s.Bangs {
		if n > 0 {
			bangs = append(bangs, fmt.Sprintf("%d %s", n, fleet.Outcome(outcome)))
		}
	}
	return fmt.Sprintf("%d steps; %d crashes, %d cuts, %d jumps of clocks, %d exits, %d breakages, %d losses of the store's last seconds, %d evictions, %d messages lost; "+
		"bangs acknowledged: %s; %d convergences ended; %d orders, %d handed over again, %d bangs folded; %d runs reported, %d failed, %d made by nodes alone; %d commits, %d hosts found; converged at most %s after the storm",
		s.Steps, s.Crashes, s.Cuts, s.Jumps, s.Exits, s.Breakages, s.Losses, s.Evictions, s.Lost, strings.Join(bangs, ", "), s.Convergences,
		s.Orders, s.OrdersAgain, s.Folded, s.Runs, s.Failed, s.LocalRuns, s.Commits, s.Hosted, s.Converged)
}
