package verdict

// Count is what a rule finds in a window.
type Count struct {
	// Looked is how many groups were looked at, Failed how many of those had failed, within the rule's Latest.
	Looked, Failed int
	// Fails is what the rule says of them.
	Fails bool
}

// Count applies a rule to groups, oldest first: the newest failed, and so did at least FailureAmount of the ResultCount newest, within Latest. What is older than
// a missing group does not count: it may be older than the ResultCount newest.
func (r Rule) Count(groups []Group) Count {
	if len(groups) == 0 {
		return Count{}
	}
	var c Count
	newest := groups[len(groups)-1]
	for i := len(groups) - 1; i >= max(0, len(groups)-r.ResultCount); i-- {
		c.Looked++
		if groups[i].Failed && (r.Latest <= 0 || newest.At.Sub(groups[i].At) <= r.Latest) {
			c.Failed++
		}
		if gap(groups, i) {
			break
		}
	}
	c.Fails = newest.Failed && r.FailureAmount > 0 && c.Failed >= r.FailureAmount
	return c
}

// Account is how a test or an anomaly detector came to what it says.
type Account struct {
	Rule Rule
	Count
	// Own is true when the promise decided it itself; the rule is then not used.
	Own bool
	// Off is true when the promise has none.
	Off bool
}

// Accounts tells how the verdict came about.
func (p *Promise) Accounts() (test, anomaly Account) {
	account := func(r Rule, o Own, off bool) Account {
		a := Account{Rule: r, Count: r.Count(p.window.Groups()), Own: o.Decided, Off: off}
		if o.Decided {
			a.Fails = o.Failed
		}
		a.Fails = a.Fails && !off
		return a
	}
	d := &p.declared
	test, anomaly = account(d.test, d.ownTest, d.testless), account(d.anomaly, d.ownAnomaly, d.anomalyless)
	test.Fails = p.verdict.TestFailed // of a promise without both it fails, whatever the window holds
	return test, anomaly
}
