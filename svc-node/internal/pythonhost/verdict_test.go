package pythonhost

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

func TestAPromiseWithoutOwnMethodsIsEvaluatedBySvcPromise(t *testing.T) {
	g := newStage(t).sense(good)
	if g.GetOwnTest() != nil || g.GetOwnAnomaly() != nil || g.GetTest() != nil || g.GetAnomaly() != nil {
		t.Errorf("group is %v", g)
	}
}

func TestOwnVerdictsTravelInTheGroup(t *testing.T) {
	fails := "\n  def sense(self):\n    self.logger.error('broken')\n"
	for name, c := range map[string]struct {
		body          string
		test, anomaly *typev1.OwnVerdict
	}{
		"windows": {
			fails + "  def test(self): return self._test(1, 1)\n  def anomaly(self): return self._anomaly(3, 3)\n",
			&typev1.OwnVerdict{Failed: true, Message: "broken"}, &typev1.OwnVerdict{Message: "broken", AnomalyResult: true},
		},
		"an anomaly that is a test": {
			fails + "  def anomaly(self): return self._test()\n", nil, &typev1.OwnVerdict{Failed: true, Message: "broken"},
		},
		"its own words": {
			fails + "  def anomaly(self): return AnomalyResult(problem=False, message='it will do')\n", nil, &typev1.OwnVerdict{Message: "it will do", AnomalyResult: true},
		},
		"one that raises": {
			fails + "  def anomaly(self): raise KeyError('x')\n", nil, &typev1.OwnVerdict{Failed: true, Message: "anomaly() raised KeyError: 'x'"},
		},
		"one that says nothing": {
			fails + "  def test(self): pass\n", &typev1.OwnVerdict{Failed: true, Message: "test() raised ValueError: test() returned no result"}, nil,
		},
		"one that is never tested": {
			fails + "  def __init__(self, config):\n    super().__init__(config)\n    self.setTestLess()\n  def test(self): raise KeyError()\n", nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newStage(t).sense(c.body)
			if !proto.Equal(g.GetOwnTest(), c.test) || !proto.Equal(g.GetOwnAnomaly(), c.anomaly) {
				t.Errorf("test %v, anomaly %v", g.GetOwnTest(), g.GetOwnAnomaly())
			}
		})
	}
}

func TestOwnWindowsAreThoseOfTheLog(t *testing.T) {
	s := newStage(t)
	body := "\n  def sense(self):\n    self.logger.error('broken')\n  def anomaly(self): return self._anomaly(3, 3)\n"
	for _, want := range []bool{false, false, true} {
		if got := s.sense(body).GetOwnAnomaly().GetFailed(); got != want {
			t.Errorf("anomaly is %t, want %t", got, want)
		}
	}
	if s.sense(strings.Replace(body, "error", "info", 1)).GetOwnAnomaly().GetFailed() {
		t.Error("a promise that passes is an anomaly")
	}
}

func TestAPromiseSaysWhatItIs(t *testing.T) {
	s := newStage(t)
	var traits sensor.Traits
	g := s.sense(`
  def __init__(self, config):
    super().__init__(config)
    self.setPeriodicity(minute=0.5)
    self.setTestLess()
    self.allowBang(False)
  def sense(self): pass
`, func(r *sensor.Request) { r.Learned = func(t sensor.Traits) { traits = t } })
	if (traits != sensor.Traits{Period: 30 * time.Second, Testless: true}) {
		t.Errorf("traits are %+v", traits)
	}
	if !g.GetTestless() || g.GetAnomalyless() || !g.GetBangDisabled() {
		t.Errorf("group is %v", g)
	}
	if g := s.sense(good + "extra_config_dict = {'bang-on-failure': 'false'}\n"); !g.GetBangDisabled() {
		t.Error("bang-on-failure=false has no effect")
	}
	if g := s.sense(good); g.GetBangDisabled() {
		t.Error("a promise may bang unless it says otherwise")
	}
}

func TestANumberThatIsKeptIsTheGroupsValue(t *testing.T) {
	s := newStage(t)
	body := "\n  def __init__(self, config):\n    super().__init__(config)\n  def sense(self):\n    self.json_logger.info('x', extra={'data': DATA})\n    self.logger.info('ok')\n"
	of := func(data string) *float64 {
		s.write("p.py", strings.Replace(strings.Replace(head, "RunPromise(GenericPromise)", "RunPromise(JSONPromise)", 1), "import os,", "from slapos.promise.plugin.util import JSONPromise\nimport os,", 1)+
			strings.Replace(body, "DATA", data, 1))
		return s.pool.Sense(t.Context(), s.request("p.py")).Value
	}
	if v := of("{'latency': 12.5}"); v == nil || *v != 12.5 {
		t.Errorf("value is %v", v)
	}
	for _, none := range []string{"{'a': 1, 'b': 2}", "{}", "{'a': float('nan')}", "'text'", "{'a': True}"} {
		if v := of(none); v != nil {
			t.Errorf("%s gives the value %v", none, *v)
		}
	}
}

// A promise that gives no result fails its test at once, is an anomaly only if it failed before, and never bangs.
func TestATimeOutIsAnAnomalyTheSecondTimeAndNeverBangs(t *testing.T) {
	s := newStage(t)
	for _, want := range []bool{false, true} {
		g := s.sense("  def sense(self):\n    time.sleep(600)\n", soon)
		if !g.GetOwnTest().GetFailed() || g.GetOwnAnomaly().GetFailed() != want || g.GetOwnAnomaly().GetAnomalyResult() || !failed(g) {
			t.Errorf("group is %v", g)
		}
	}
	for path, want := range map[string]string{
		".slapgrid/promise/log/p.log": " - Error: Promise timed out after 0.4 seconds\n", ".slapgrid/promise/result/p.status.json": `"failed": true, "message": "Error: Promise timed out after 0.4 seconds"`,
	} {
		if got := s.read(path); !strings.Contains(got, want) {
			t.Errorf("%s is %s", path, got)
		}
	}
}

func TestAResultFileShowsTheTestOfARunAndTheAnomalyOtherwise(t *testing.T) {
	s := newStage(t)
	for asked, want := range map[bool]string{true: "Test Result", false: "Anomaly Result"} {
		s.sense(good, func(r *sensor.Request) { r.Asked = asked })
		if got := s.read(".slapgrid/promise/result/p.status.json"); !strings.Contains(got, `"type": "`+want+`"`) {
			t.Errorf("result is %s", got)
		}
	}
}
