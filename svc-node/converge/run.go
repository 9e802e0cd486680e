package converge

import "fmt"

// Stage is where a run is.
//
//	           begun            installed         carried out         handed over        evaluated
//	Beginning ───────▶ AtRelease ─────────▶ AtProfile ──────▶ AtServices ──────▶ AtPromises ──────▶ Reporting
//	    │ destroyed: ▶ AtServices              │                 │ stopped,          │                  ▲
//	    │                                      │                 │ destroyed ────────┼──────────────────┤
//	    └── any step that does not succeed ────┴─────────────────┴───────────────────┴──────────────────┘
type Stage uint8

// The stages.
const (
	Beginning Stage = iota
	AtRelease
	AtProfile
	AtServices
	AtPromises
	Reporting
)

// String returns the stage's name; for a step it is the step's name in reports and telemetry.
func (s Stage) String() string {
	names := [...]string{"begin", "release", "profile", "services", "promises", "report"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// Run is one run of a partition. The zero Run is about to begin.
type Run struct {
	Stage     Stage
	Requested Requested
	// Result, Error and ErrorType are the run's verdict, meant in stage Reporting.
	Result    Result
	Error     string
	ErrorType string
	Changed   bool
}

// StepEnded is how a step ended. The first one of a run, with stage Beginning, is BeginRun's success.
type StepEnded struct {
	Stage     Stage
	Requested Requested // with Beginning only
	Result    Result
	Error     string
	ErrorType string
	Changed   bool
}

// Step is the transition function of a run: what comes next is the stage of the returned run. Reporting is the last.
func (r Run) Step(e StepEnded) (Run, string) {
	if e.Stage != r.Stage || r.Stage == Reporting {
		return r, "not the step in hand"
	}
	r.Changed = r.Changed || e.Changed
	if e.Result != Success {
		r.Stage, r.Result, r.Error, r.ErrorType = Reporting, e.Result, e.Error, e.ErrorType
		return r, "a step did not succeed"
	}
	switch r.Stage {
	case Beginning:
		r.Requested = e.Requested
		if r.Requested == Destroyed {
			r.Stage = AtServices // its release may be gone, and nothing is installed any more
			return r, "destroyed: nothing is installed"
		}
		r.Stage = AtRelease
	case AtRelease:
		r.Stage = AtProfile
	case AtProfile:
		r.Stage = AtServices
	case AtServices:
		if r.Requested != Started {
			r.Stage, r.Result = Reporting, Success
			return r, r.Requested.String() + ": promises are not tested"
		}
		r.Stage = AtPromises
	case AtPromises:
		r.Stage, r.Result = Reporting, Success
		return r, "all steps succeeded"
	case Reporting:
		return r, "over"
	}
	return r, "next step"
}
