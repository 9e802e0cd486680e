package chaos

import (
	"strings"
	"testing"
	"time"
)

const second = time.Second

// good is a history without fault: two requests and a bang of a tree, and the runs that followed.
func good() *History {
	span := func(call, answered int) Span {
		return Span{time.Duration(call) * second, time.Duration(answered) * second}
	}
	return &History{
		Operations: []Operation{
			{Span: span(1, 2), Kind: Request, Tree: "t1", ID: "r1", Value: "a", Answered: true, Generation: Generation{1, 1}, Allocation: "t1.a1"},
			{Span: span(3, 5), Kind: Bang, Tree: "t1", ID: "b1", Answered: true, BangID: "t1.b1", Generation: Generation{1, 2}},
			{Span: span(6, 7), Kind: Request, Tree: "t1", ID: "r2", Value: "b", Answered: true, Generation: Generation{1, 3}, Allocation: "t1.a1"},
			{Span: span(8, 9), Kind: Read, Tree: "t1", Value: "b", Answered: true, Generation: Generation{1, 3}},
			{Span: span(10, 11), Kind: Bang, Tree: "t1", ID: "b1", Answered: true, BangID: "t1.b1", Generation: Generation{1, 2}},
			{Span: span(10, 12), Kind: Bang, Tree: "t1", ID: "b2"},
		},
		Orders: []Order{{Stream: "c1", Computer: "c1", Partition: "p0", RunID: "run1", Unasked: true}},
		Begins: []Begin{
			{Span: span(3, 4), Tree: "t1", Allocation: "t1.a1", RunID: "run1", Token: 1, Desired: Generation{1, 1}, Wanted: Generation{1, 2}},
			{Span: span(8, 9), Tree: "t1", Allocation: "t1.a1", RunID: "run2", Token: 2, Desired: Generation{1, 3}, Wanted: Generation{1, 3}},
		},
		Reports: []Report{
			{Span: span(5, 6), Allocation: "t1.a1", RunID: "run1", Token: 1, Success: true, Accepted: true},
			{Span: span(10, 11), Allocation: "t1.a1", RunID: "run2", Token: 2, Success: true, Accepted: true},
		},
		Runs: []Run{
			{Computer: "c1", Partition: "p0", RunID: "run1", From: 4 * second, Until: 5 * second},
			{Computer: "c1", Partition: "p0", RunID: "run2", From: 9 * second, Until: 10 * second},
		},
		Colours: []Colour{{Computer: "c1", Colour: "green", Silent: second}, {Computer: "c2", Colour: "orange", Silent: 6 * time.Minute}},
		Final: Final{
			Satisfied: map[string]bool{"t1.b1": true}, Value: map[string]string{"t1": "b"}, Generation: map[string]Generation{"t1": {1, 3}}, Settled: map[string]Generation{"t1.a1": {1, 3}},
		},
		Length: time.Minute, Period: 24 * time.Hour,
	}
}

func TestAHistoryWithoutFaultBreaksNoRule(t *testing.T) {
	h := good()
	for _, rule := range Rules() {
		if broken := rule.Broken(h); broken != nil {
			t.Errorf("%s: %v", rule.Sentence, broken)
		}
	}
	if broken, undecided := Linear(h, time.Minute); broken != nil || undecided != nil {
		t.Errorf("not linearizable: %v, undecided: %v", broken, undecided)
	}
}

// A request without an answer may never have had its effect, also when it is the only one of its tree.
func TestARequestWithoutAnAnswerMayHaveHadNoEffect(t *testing.T) {
	h := good()
	h.Operations = append(h.Operations, Operation{Span: Span{second, 2 * second}, Kind: Request, Tree: "t2", ID: "r3", Value: "c"})
	for _, rule := range Rules() {
		if broken := rule.Broken(h); broken != nil {
			t.Errorf("%s: %v", rule.Sentence, broken)
		}
	}
}

// A store that lost something moved the epoch: what was acknowledged before may be gone, and nothing else.
func TestWhatAFailOverLostIsNotHeldAgainstAHistory(t *testing.T) {
	h := good()
	h.Lossy, h.Final.Satisfied, h.Final.Value["t1"] = true, nil, ""
	h.Final.Generation["t1"], h.Final.Settled["t1.a1"] = Generation{2, 1}, Generation{2, 1}
	for _, rule := range Rules() {
		if broken := rule.Broken(h); broken != nil {
			t.Errorf("%s: %v", rule.Sentence, broken)
		}
	}
}

// Each rule is broken by the histories that break it, and by nothing else.
func TestEachRuleIsBrokenByWhatBreaksIt(t *testing.T) {
	for _, c := range []struct {
		sentence, words string
		change          func(h *History)
	}{
		{"an acknowledged bang is lost", "not recorded", func(h *History) { h.Final.Satisfied = nil }},
		{"an acknowledged bang is lost", "never satisfied", func(h *History) { h.Final.Satisfied["t1.b1"] = false }},
		{"an acknowledged bang is lost", "were both acknowledged as t1.b1", func(h *History) { h.Operations[4].ID = "b3" }},
		{"an acknowledged bang is lost", "not recorded", func(h *History) { h.Lossy, h.Final.Satisfied = true, nil }}, // in this epoch
		{"an acknowledged request is lost", `"b" was acknowledged at 7s after it`, func(h *History) { h.Lossy, h.Final.Value["t1"] = true, "a" }},
		{"an acknowledged request is lost", `"b" was acknowledged at 7s after it`, func(h *History) { h.Final.Value["t1"] = "a" }},
		{"an acknowledged request is lost", "nobody requested", func(h *History) { h.Final.Value["t1"] = "c" }},
		{"an acknowledged request is lost", "ends at generation 1/2", func(h *History) { h.Final.Generation["t1"] = Generation{1, 2} }},
		{"an acknowledged report is lost", "ends settled at 1/2", func(h *History) { h.Final.Settled["t1.a1"] = Generation{1, 2} }},
		{"two runs of one partition at once", "before run run1 ended", func(h *History) { h.Runs[0].Until = 10 * second }},
		{"a result for a superseded token is accepted", "after run run2, token 2, had begun", func(h *History) { h.Reports[0].Span = h.Reports[1].Span }},
		{"a result for a superseded token is accepted", "have both token 1", func(h *History) { h.Begins[1].Token = 1 }},
		{"an older desired state over a newer one", "after 1/1 at 4s", func(h *History) { h.Begins[1].Desired, h.Operations = Generation{0, 9}, nil }},
		{"an older desired state over a newer one", "1/3 had been requested", func(h *History) { h.Begins[1].Desired = Generation{1, 1} }},
		{"a dead computer unnoticed", "c2 is green", func(h *History) { h.Colours[1].Colour = "green" }},
		{"a dead computer unnoticed", "c2 is orange", func(h *History) { h.Colours[1].Silent = 61 * time.Minute }},
		{"a herd", "ordered to run 3 times", func(h *History) {
			for _, run := range []string{"run2", "run3"} {
				h.Orders = append(h.Orders, Order{Stream: "c1", Computer: "c1", Partition: "p0", RunID: run, Unasked: true})
			}
		}},
		{"a promise that can never pass causes more than 60 runs a day", "ran 61 times", func(h *History) {
			for n := range 61 {
				h.Begins = append(h.Begins, Begin{Allocation: "t2.a1", RunID: strings.Repeat("x", n), Token: uint64(n)})
			}
		}},
		{"a node is told what is another's", "c1 was handed an order for p0 of c2", func(h *History) { h.Orders[0].Computer = "c2" }},
		{"Redis evicts state", "evicted 1 keys", func(h *History) { h.Final.Evicted = 1 }},
	} {
		h := good()
		c.change(h)
		for _, rule := range Rules() {
			broken := strings.Join(rule.Broken(h), "\n")
			if rule.Sentence == c.sentence != strings.Contains(broken, c.words) || rule.Sentence != c.sentence && broken != "" {
				t.Errorf("%s (%s): of %q it says %q", c.sentence, c.words, rule.Sentence, broken)
			}
		}
	}
}

// What no order of the calls explains is not linearizable; a call without an answer explains what it may have done, at any time after it was made. A fail-over explains what is gone in the next epoch, and nothing else.
func TestOnlyWhatAnOrderOfCallsExplainsIsLinearizable(t *testing.T) {
	at := func(call, answered int) Span {
		return Span{time.Duration(call) * second, time.Duration(answered) * second}
	}
	request := func(s Span, value string, number uint64) Operation {
		return Operation{Span: s, Kind: Request, Tree: "t1", ID: value, Value: value, Answered: number > 0, Generation: Generation{1, number}}
	}
	bang := func(s Span, id, answer string, number uint64) Operation {
		return Operation{Span: s, Kind: Bang, Tree: "t1", ID: id, Answered: number > 0, BangID: answer, Generation: Generation{1, number}}
	}
	read := func(s Span, value string, number uint64) Operation {
		return Operation{Span: s, Kind: Read, Tree: "t1", Value: value, Answered: true, Generation: Generation{1, number}}
	}
	inEpoch2 := func(o Operation) Operation {
		o.Generation.Epoch = 2
		return o
	}
	for what, c := range map[string]struct {
		linear bool
		calls  []Operation
	}{
		"requests that were decided together":        {true, []Operation{request(at(1, 3), "a", 2), request(at(1, 3), "b", 2), read(at(4, 5), "b", 2)}},
		"a request that is behind what was told":     {false, []Operation{request(at(1, 2), "a", 2), bang(at(3, 4), "x", "b1", 3), request(at(5, 6), "b", 3)}},
		"calls at once, in one order":                {true, []Operation{request(at(1, 9), "a", 3), request(at(1, 9), "b", 2), read(at(10, 11), "a", 3)}},
		"a read of what was overwritten":             {false, []Operation{request(at(1, 2), "a", 1), request(at(3, 4), "b", 2), read(at(5, 6), "a", 2)}},
		"a read that is behind what was told":        {false, []Operation{request(at(1, 2), "a", 1), bang(at(3, 4), "x", "b1", 2), read(at(5, 6), "a", 1)}},
		"a generation that goes back":                {false, []Operation{bang(at(1, 2), "x", "b1", 5), bang(at(3, 4), "y", "b2", 4)}},
		"one bang id for two bangs":                  {false, []Operation{bang(at(1, 2), "x", "b1", 1), bang(at(3, 4), "y", "b1", 2)}},
		"two bangs for one request id":               {false, []Operation{bang(at(1, 2), "x", "b1", 1), bang(at(3, 4), "x", "b2", 2)}},
		"the first answer again":                     {true, []Operation{bang(at(1, 2), "x", "b1", 1), request(at(3, 4), "a", 2), bang(at(5, 6), "x", "b1", 1)}},
		"a bang without an answer, asked for again":  {true, []Operation{bang(at(1, 2), "x", "", 0), bang(at(3, 4), "y", "b2", 5), bang(at(5, 6), "x", "b1", 1)}},
		"a bang asked for late, with an old answer":  {false, []Operation{bang(at(3, 4), "y", "b2", 5), bang(at(5, 6), "x", "b1", 1)}},
		"a call without an answer that had none":     {true, []Operation{request(at(1, 2), "a", 1), request(at(3, 4), "b", 0), read(at(5, 6), "a", 1)}},
		"a call without an answer, seen late":        {true, []Operation{request(at(1, 2), "a", 1), request(at(3, 4), "b", 0), read(at(5, 6), "a", 1), read(at(7, 8), "b", 2)}},
		"a call without an answer, seen and undone":  {false, []Operation{request(at(1, 2), "a", 1), request(at(3, 4), "b", 0), read(at(5, 6), "b", 2), read(at(7, 8), "a", 2)}},
		"what nobody requested":                      {false, []Operation{request(at(1, 2), "a", 1), read(at(3, 4), "c", 1)}},
		"what was not requested yet when it is read": {false, []Operation{read(at(1, 2), "a", 1), request(at(3, 4), "a", 1)}},
		"what a fail-over lost":                      {true, []Operation{request(at(1, 2), "a", 1), request(at(3, 4), "b", 2), bang(at(4, 5), "x", "b1", 3), inEpoch2(read(at(6, 7), "a", 1)), inEpoch2(bang(at(8, 9), "x", "b9", 2))}},
		"what a fail-over left":                      {true, []Operation{bang(at(1, 2), "x", "b1", 3), inEpoch2(bang(at(3, 4), "y", "b9", 2)), bang(at(5, 6), "x", "b1", 3)}},
		"what a fail-over lost in its own epoch":     {false, []Operation{request(at(1, 2), "a", 1), request(at(3, 4), "b", 2), read(at(6, 7), "a", 2)}},
		"what is lost after a fail-over":             {false, []Operation{request(at(1, 2), "a", 1), inEpoch2(request(at(3, 4), "b", 2)), inEpoch2(read(at(6, 7), "a", 2))}},
		"what comes back after a fail-over":          {false, []Operation{request(at(1, 2), "a", 1), inEpoch2(read(at(3, 4), "", 2)), inEpoch2(read(at(6, 7), "a", 2))}},
		"two bangs for one id after a fail-over":     {false, []Operation{inEpoch2(bang(at(1, 2), "x", "b1", 1)), inEpoch2(bang(at(3, 4), "x", "b2", 2))}},
	} {
		broken, undecided := Linear(&History{Operations: c.calls, Lossy: strings.Contains(what, "fail-over")}, time.Minute)
		if (broken == nil) != c.linear || undecided != nil {
			t.Errorf("%s: %v, undecided %v", what, broken, undecided)
		}
	}
}
