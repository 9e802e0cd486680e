package api

import "time"

// How long a fleet takes to come back (docs/scale.md, "Reconnecting").
const (
	// reconnectEach is the time that each registered computer adds to the window: 83 nodes a second are 330 writes and a tenth of a small machine, so that
	// what the fleet does anyway goes on meanwhile. 5,000 computers come back within a minute.
	reconnectEach = 12 * time.Millisecond
	// reconnectMost bounds it: a computer that is not heard of for five minutes is no longer Green, and contacts are written every half minute.
	reconnectMost = 3 * time.Minute
)

// reconnectWindow is what a node is told to spread its return over: least is what the user asked for, at the least.
func reconnectWindow(least time.Duration, computers int64) time.Duration {
	return max(least, min(time.Duration(computers)*reconnectEach, reconnectMost))
}
