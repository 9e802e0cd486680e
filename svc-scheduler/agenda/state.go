package agenda

// State is where an entry is between two occasions.
//
//	          HandOver              Begin
//	Waiting ───────────▶ Ordered ───────────▶ Running
//	 ▲ ▲ │              ↺ HandOver            │ ↺ Begin (superseded by another run)
//	 │ │ │                 │                  │
//	 │ │ └──── Begin ──────┼─────────────────▶│      the node's own run
//	 │ └────── End ────────┘                  │      reported; its BeginRun was not seen
//	 └──────── End, Lose ─────────────────────┘
type State int

// The states.
const (
	// Waiting is due at some time.
	Waiting State = iota
	// Ordered was handed over; its BeginRun has not been seen.
	Ordered
	// Running began and is not reported.
	Running
)

// Step moves an entry from state to state.
type Step int

// The steps.
const (
	HandOver Step = iota
	Begin
	End
	Lose
)

// Next is the state after a step; false when the step is not possible in this state.
func (s State) Next(step Step) (State, bool) {
	switch {
	case step == HandOver && (s == Waiting || s == Ordered):
		return Ordered, true
	case step == Begin:
		return Running, true
	case step == End && (s == Ordered || s == Running):
		return Waiting, true
	case step == Lose && (s == Ordered || s == Running):
		return Waiting, true
	}
	return s, false
}

// String is the word of the state.
func (s State) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Ordered:
		return "ordered"
	case Running:
		return "running"
	}
	return "unknown"
}
