package verdict

import "testing"

// told is a group of a healthy partition with what its promise decided itself.
func told(sequence uint64, change func(*Recorded)) Recorded {
	r := recorded(sequence, false)
	r.Anomaly = AnomalyRule
	r.Group.Message = "entries"
	change(&r)
	return r
}

func TestWhatAPluginDecidesItselfStandsInsteadOfItsRules(t *testing.T) {
	failing := func(r *Recorded) { r.Group.Failed = true }
	for name, v := range map[string]struct {
		change        func(*Recorded)
		test, anomaly bool
		effect        Effect
		message       string
	}{
		"nothing of its own":                {failing, true, true, Bang | Changed, "entries"},
		"its own test passes":               {func(r *Recorded) { failing(r); r.OwnTest = Own{Decided: true, Message: "fine"} }, false, true, Bang | Changed, "entries"},
		"its own test fails":                {func(r *Recorded) { r.OwnTest = Own{Decided: true, Failed: true, Message: "bad"} }, true, false, Changed, "bad"},
		"its own anomaly passes":            {func(r *Recorded) { failing(r); r.OwnAnomaly = Own{Decided: true, MayBang: true} }, true, false, Changed, "entries"},
		"its own AnomalyResult fails":       {func(r *Recorded) { r.OwnAnomaly = Own{Decided: true, Failed: true, MayBang: true, Message: "odd"} }, false, true, Bang | Changed, "odd"},
		"a TestResult from anomaly() fails": {func(r *Recorded) { r.OwnAnomaly = Own{Decided: true, Failed: true, Message: "odd"} }, false, true, BangNotAllowed | Changed, "odd"},
		"an own test without a message":     {func(r *Recorded) { r.OwnTest = Own{Decided: true, Failed: true} }, true, false, Changed, "entries"},
		"both its own pass": {func(r *Recorded) {
			failing(r)
			r.OwnTest = Own{Decided: true, Message: "fine"}
			r.OwnAnomaly = Own{Decided: true}
		}, false, false, 0, "fine"},
		"testless":                        {func(r *Recorded) { failing(r); r.Testless = true }, false, true, Bang | Changed, "entries"},
		"testless with a test of its own": {func(r *Recorded) { r.Testless = true; r.OwnTest = Own{Decided: true, Failed: true} }, false, false, 0, "entries"},
		"anomalyless":                     {func(r *Recorded) { failing(r); r.Anomalyless = true }, true, false, Changed, "entries"},
		"anomalyless with one of its own": {func(r *Recorded) {
			r.Anomalyless = true
			r.OwnAnomaly = Own{Decided: true, Failed: true, MayBang: true}
		}, false, false, 0, "entries"},
		"neither tested nor watched": {func(r *Recorded) { r.Testless, r.Anomalyless = true, true }, true, false, Changed, NeitherAllowed},
		"may not bang, its own anomaly": {func(r *Recorded) {
			r.BangDisabled = true
			r.OwnAnomaly = Own{Decided: true, Failed: true, MayBang: true}
		}, false, true, BangNotAllowed | Changed, "entries"},
		"muted":                                  {func(r *Recorded) { failing(r); r.Muted = true }, true, true, Changed, "entries"},
		"muted and not allowed to bang":          {func(r *Recorded) { failing(r); r.Muted, r.BangDisabled = true, true }, true, true, Changed, "entries"},
		"its sensor could not be executed":       {func(r *Recorded) { failing(r); r.Group.Message = "timed out" }, true, true, Bang | Changed, "timed out"},
		"asked for by a run (test mode)":         {func(r *Recorded) { failing(r); r.Asked = true }, true, true, Changed, "entries"},
		"the latest run of the partition failed": {func(r *Recorded) { failing(r); r.Runs.LatestSuccess = false }, true, true, Changed, "entries"},
	} {
		t.Run(name, func(t *testing.T) {
			var p Promise
			effect, why := p.Step(told(1, v.change))
			if got := p.Verdict(); effect != v.effect || got.TestFailed != v.test || got.Anomaly != v.anomaly || got.Message != v.message {
				t.Errorf("effect %03b (%s), verdict %+v; want %03b, test failed %v, anomaly %v, %q", effect, why, got, v.effect, v.test, v.anomaly, v.message)
			}
		})
	}
}

// In SlapOS one bang of a launcher run silences the promises after it; in vow each promise is judged alone and svc-master joins their bangs (docs/rules.md).
func TestPromisesOfAPartitionDoNotSilenceEachOther(t *testing.T) {
	failed := func(r *Recorded) { r.Group.Failed = true }
	for name, first := range map[string]func(*Recorded){
		"A fails":                            failed,
		"A fails by a TestResult":            func(r *Recorded) { r.OwnAnomaly = Own{Decided: true, Failed: true} },
		"A may not bang":                     func(r *Recorded) { failed(r); r.BangDisabled = true },
		"A times out":                        failed,
		"A raises in anomaly()":              func(r *Recorded) { r.OwnAnomaly = Own{Decided: true, Failed: true, Message: "raised"} },
		"A failed earlier and is not due":    func(r *Recorded) { failed(r); r.Replayed = true },
		"A is an executable that fails once": func(r *Recorded) { failed(r); r.Anomaly = ExecutableAnomalyRule },
	} {
		var a, b Promise
		a.Step(told(1, first))
		if effect, why := b.Step(told(1, failed)); !effect.Has(Bang) {
			t.Errorf("%s, B fails: no bang by B: %s", name, why)
		}
	}
}

func TestALateGroupChangesNothingOfWhatTheNewestDeclared(t *testing.T) {
	var p Promise
	p.Step(told(5, func(r *Recorded) { r.OwnTest = Own{Decided: true, Message: "fine"}; r.Anomaly = ExecutableAnomalyRule }))
	p.Step(told(4, func(r *Recorded) {
		r.Group.Failed = true
		r.OwnTest = Own{Decided: true, Failed: true}
		r.Anomaly = Rule{ResultCount: 1, FailureAmount: 1}
	}))
	if v := p.Verdict(); v.TestFailed || v.Message != "fine" || len(p.Groups()) != 2 {
		t.Errorf("verdict %+v over %d groups", v, len(p.Groups()))
	}
}

func TestAnAnomalyBangsWhenItsMuteIsOver(t *testing.T) {
	var p Promise
	muted := told(1, func(r *Recorded) { r.Group.Failed, r.Muted = true, true })
	p.Step(muted)
	after := told(2, func(r *Recorded) { r.Group.Failed = true })
	if effect, why := p.Step(after); !effect.Has(Bang) {
		t.Errorf("no bang: %s", why)
	}
}

func TestAWindowEvaluatesWithoutAllocating(t *testing.T) {
	for _, size := range []int{1, 3, 10} {
		var p Promise
		n := uint64(0)
		step := func() {
			n++
			r := recorded(n, n%3 != 0)
			r.Anomaly = Rule{ResultCount: size, FailureAmount: 1}
			p.Step(r)
		}
		for range size {
			step()
		}
		if got := testing.AllocsPerRun(1000, step); got != 0 {
			t.Errorf("%v allocations a group with a window of %d", got, size)
		}
	}
}
