package backoff

import "time"

// Grid is the distance between two periodic runs of something that must run at least once per period: 95 % of it
// (docs/rules.md, "periodicity"). The missing 5 % are what a run may take before its result goes stale.
func Grid(period time.Duration) time.Duration {
	return period - period/20
}

// Phase is the place of id in a grid, 0 ≤ phase < grid; 0 for a grid of zero or less.
func Phase(id string, grid time.Duration) time.Duration {
	if grid <= 0 {
		return 0
	}
	return time.Duration(fraction(Hash(id), uint64(grid)-1))
}

// NextInGrid is the first instant strictly after now at which id runs periodically: the instants are one Grid(period)
// apart, anchored at Unix time 0, and shifted by the phase of id, so that load is flat however the fleet started.
//
// The result is in (now, now+Grid(period)], in UTC. It panics when period is not positive: a periodicity is validated
// where it enters.
func NextInGrid(id string, period time.Duration, now time.Time) time.Time {
	grid := Grid(period)
	if grid <= 0 {
		panic("cannot find the next run of a period that is not positive")
	}
	// Unix nanoseconds reach from 1678 to 2262; the phase is below the grid, so that the subtraction cannot overflow
	// for any time of this century.
	since := time.Duration(now.UnixNano()) - Phase(id, grid)
	passed := since % grid
	if passed < 0 {
		passed += grid
	}
	return now.Add(grid - passed).UTC()
}
