package agenda

import "time"

// Trace carries a W3C trace context: the three headers.
type Trace struct{ Traceparent, Tracestate, Baggage string }

// Bang is a bang that concerns a partition and is not settled.
type Bang struct {
	// ID is `<tree>.b<n>`.
	ID string
	// Number within the tree; differences count folds.
	Number uint64
	// At is when svc-master recorded it.
	At time.Time
	// Generation that the bang made.
	Generation Generation
	// Targets is how many partitions it makes run; 0 = not known.
	Targets int
	// Trace is the context of its `bang` span, FanOut that of the `fan out` span; the latter is empty when it was learnt from a reading.
	Trace, FanOut Trace
}

// note remembers a bang, newest first, at most MaxBangs. One that is known only gains its fan-out, when it was learnt from a reading.
func (e *Entry) note(b Bang) {
	for i := range e.Bangs {
		if e.Bangs[i].ID == b.ID {
			if e.Bangs[i].FanOut == (Trace{}) {
				e.Bangs[i].FanOut, e.Bangs[i].Targets = b.FanOut, b.Targets
			}
			return
		}
	}
	if b.Generation.After(e.Answered) {
		if e.FirstBang == 0 {
			e.FirstBang = b.Number
		}
		e.LastBang = max(e.LastBang, b.Number)
		e.FirstBang = min(e.FirstBang, b.Number)
	}
	at := 0
	for at < len(e.Bangs) && e.Bangs[at].Number > b.Number {
		at++
	}
	bangs := make([]Bang, 0, len(e.Bangs)+1)
	bangs = append(append(append(bangs, e.Bangs[:at]...), b), e.Bangs[at:]...)
	e.Bangs = bangs[:min(len(bangs), MaxBangs)]
}

// Folds is how many bangs the next run answers beyond the first: the difference of their numbers.
func (e *Entry) Folds() uint64 {
	if e.FirstBang == 0 {
		return 0
	}
	return e.LastBang - e.FirstBang
}

// forget drops the bangs that are settled.
func (e *Entry) forget() {
	var kept []Bang
	for _, b := range e.Bangs {
		if b.Generation.After(e.Settled) {
			kept = append(kept, b)
		}
	}
	e.Bangs = kept
}

// parented tells whether a run due now belongs into its bang's trace: the first attempt, exactly one fresh bang, a bounded fan-out.
func (e *Entry) parented(now time.Time) bool {
	return e.Attempt == 0 && len(e.Bangs) == 1 && e.Folds() == 0 &&
		e.Bangs[0].Targets <= MaxTraceTargets && now.Sub(e.Bangs[0].At) <= FreshBang
}
