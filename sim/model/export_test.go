package model

// Sabotages are the rules that a world can break on purpose.
var Sabotages = map[string]sabotage{
	"a bang is acknowledged and not stored":               forgetBang,
	"a report is acknowledged and not stored":             forgetReport,
	"a request is acknowledged and not stored":            forgetRequest,
	"a superseded report is accepted":                     acceptStale,
	"an older desired state replaces a newer one":         olderDesired,
	"a node runs a partition twice at once":               twoRuns,
	"svc-scheduler hears nothing":                         deafScheduler,
	"a joined bang is not counted":                        miscountJoined,
	"an order is handed over before it is stored":         forgottenOrder,
	"a store loses its last seconds and the epoch stays":  sameEpoch,
	"a promise that never passes runs every ten minutes":  impatient,
	"a host is not told what it must not serve any more":  deafHost,
	"a restarted svc-master forgets why a colour was Red": greenAfterRestart,
}

// Sabotaged is a world of a seed that breaks a rule.
func Sabotaged(seed uint64, s sabotage) Config {
	c := Configure(seed, 5)
	c.sabotage = s
	if s == acceptStale {
		c.Repeat, c.Late = 0.3, 0.5 // late repetitions, of which a gentle network has few
	}
	if s == sameEpoch {
		c.Epochs = 0.2
	}
	if s == deafHost {
		c.Shares = 1
	}
	if s == impatient {
		c.Storm, c.Never, c.Days = 0, 1, 1
	}
	return c
}
