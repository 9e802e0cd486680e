package converge

import "fmt"

// Stage is where a run is.
//
//	           begun            installed         ready          carried out         handed over        evaluated
//	Beginning ───────▶ AtRelease ───────▶ AtPrepare ───▶ AtProfile ──────▶ AtServices ──────▶ AtPromises ──────▶ Reporting
//	    │                  │                  │              │  started: ▶ Reporting │ stopped: ▶ Reporting          ▲
//	    │                  └── does not succeed, of a stopped one: ▶ AtServices ◀────┤                               │
//	    │ destroyed                                                                  │ destroyed                     │
//	    └───────────────────────────────▶ AtServices ◀───────────────────────────────┘                               │
//	                                          └─▶ AtRetention ──▶ AtPrerm ──▶ AtDestroy ─────────────────────────────┤
//	                                                  │ kept                                                         │
//	                                                  └──────── any other step that does not succeed ────────────────┘
type Stage uint8

// The stages.
const (
	Beginning Stage = iota
	AtRelease
	AtPrepare
	AtProfile
	AtServices
	AtPromises
	AtRetention
	AtPrerm
	AtDestroy
	Reporting
)

// String returns the stage's name; for a step it is the step's name in reports and telemetry.
func (s Stage) String() string {
	names := [...]string{"begin", "release", "prepare", "profile", "services", "promises", "retention", "prerm", "destroy", "report"}
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
	// Kept says that the content of a destroyed instance is kept for now: the run ends here, a success. With AtRetention only.
	Kept bool
}

// Step is the transition function of a run: what comes next is the stage of the returned run. Reporting is the last.
func (r Run) Step(e StepEnded) (Run, string) {
	if e.Stage != r.Stage || r.Stage == Reporting {
		return r, "not the step in hand"
	}
	r.Changed = r.Changed || e.Changed
	if e.Result != Success {
		if r.Result == 0 { // the first one is why
			r.Result, r.Error, r.ErrorType = e.Result, e.Error, e.ErrorType
		}
		if r.Requested == Stopped && r.Stage < AtServices {
			r.Stage = AtServices // what is to be stopped is stopped, whatever its profile says (SlapOS stops "finally")
			return r, "a step did not succeed: services are stopped all the same"
		}
		r.Stage = Reporting
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
	case AtServices:
		switch r.Requested {
		case Started:
			r.Stage = AtPromises
		case Destroyed:
			r.Stage = AtRetention
		case Stopped:
			return r.over("stopped: promises are not tested")
		}
	case AtRetention:
		if e.Kept {
			return r.over("destroyed: the content is kept for now")
		}
		r.Stage = AtPrerm
	case AtPromises, AtDestroy:
		return r.over("all steps succeeded")
	case AtRelease, AtPrepare, AtProfile, AtPrerm:
		r.Stage++
	case Reporting:
		return r, "over"
	}
	return r, "next step"
}

// over ends the run: a success unless an earlier step was none.
func (r Run) over(why string) (Run, string) {
	r.Stage = Reporting
	if r.Result == 0 {
		r.Result = Success
	}
	return r, why
}
