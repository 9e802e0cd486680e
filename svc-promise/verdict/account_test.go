package verdict

import "testing"

func TestAnAccountTellsWhatTheRuleFound(t *testing.T) {
	var p Promise
	for n := uint64(1); n <= 4; n++ {
		p.Step(recorded(n, n != 2))
	}
	test, anomaly := p.Accounts()
	if test != (Account{Rule: TestRule, Count: Count{Looked: 1, Failed: 1, Fails: true}}) {
		t.Errorf("test is %+v", test)
	}
	if anomaly != (Account{Rule: ExecutableAnomalyRule, Count: Count{Looked: 3, Failed: 2}}) {
		t.Errorf("anomaly is %+v", anomaly)
	}
	own := recorded(5, true)
	own.OwnTest, own.Anomalyless = Own{Decided: true}, true
	p.Step(own)
	if test, anomaly = p.Accounts(); test.Fails || !test.Own || !anomaly.Off || anomaly.Fails {
		t.Errorf("test is %+v, anomaly %+v", test, anomaly)
	}
	neither := recorded(6, false)
	neither.Testless, neither.Anomalyless = true, true
	p.Step(neither)
	if test, _ = p.Accounts(); !test.Fails || !test.Off {
		t.Errorf("without both the test is %+v", test)
	}
}

// FuzzAccount: an account never contradicts the verdict that it explains.
func FuzzAccount(f *testing.F) {
	f.Add([]byte("EEIE"), 3, 2, byte(0))
	f.Fuzz(func(t *testing.T, history []byte, resultCount, failureAmount int, flags byte) {
		var p Promise
		for i, c := range history[:min(len(history), 50)] {
			e := recorded(uint64(i+1), c&1 == 1)
			e.Anomaly = Rule{ResultCount: resultCount % MaxResultCount, FailureAmount: failureAmount}
			e.Testless, e.Anomalyless = flags&1 != 0, flags&2 != 0
			e.OwnAnomaly = Own{Decided: flags&4 != 0, Failed: c&2 != 0}
			p.Step(e)
			test, anomaly := p.Accounts()
			if v := p.Verdict(); test.Fails != v.TestFailed || anomaly.Fails != v.Anomaly || test.Failed > test.Looked || anomaly.Failed > anomaly.Looked {
				t.Fatalf("verdict %+v, test %+v, anomaly %+v", v, test, anomaly)
			}
		}
	})
}
