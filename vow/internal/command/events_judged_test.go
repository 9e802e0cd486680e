package command

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

func (*fakeFeed) ListAllocations(context.Context, *masterv1.ListAllocationsRequest) (*masterv1.ListAllocationsResponse, error) {
	return &masterv1.ListAllocationsResponse{Allocations: []*masterv1.Allocation{{AllocationId: anAllocation, TreeId: "t0123456789ab", InstanceId: "t0123456789ab.i1", Computer: "laptop", Partition: "slappart0"}}}, nil
}

// A verdict is told when it turns, once; a crime when it begins and when it is over; what is found first is no news.
func TestVerdictsAndCrimesAreToldWhenTheyTurn(t *testing.T) {
	a := &masterv1.Allocation{AllocationId: anAllocation, Computer: "laptop", Partition: "slappart0"}
	status := func(failed, anomaly, muted bool, message string) map[string]judged {
		v := &typev1.Verdict{Promise: "disk", TestFailed: failed, Anomaly: anomaly, Message: message}
		if muted {
			v.Mute = &typev1.Mute{}
		}
		return map[string]judged{"disk": verdictOf(a, &promisev1.PromiseStatus{Verdict: v})}
	}
	var before map[string]judged
	for n, step := range []struct {
		now  map[string]judged
		gone func(event) event
		want string
	}{
		{now: status(false, false, false, "ok")},
		{now: status(false, false, false, "still ok")},
		{now: status(true, false, false, "full\nreally"), want: "laptop/slappart0: promise disk failed: full really"},
		{now: status(true, false, false, "fuller")},
		{now: status(true, true, false, "full"), want: "laptop/slappart0: promise disk failed, anomaly: full"},
		{now: status(true, true, true, "full"), want: "laptop/slappart0: promise disk failed, anomaly, muted: full"},
		{now: status(false, false, false, "ok"), want: "laptop/slappart0: promise disk passed"},
		{now: map[string]judged{}},
		{now: map[string]judged{"crime": {"committed", event{Text: "long run"}}}, want: "long run"},
		{now: map[string]judged{}, gone: func(e event) event { e.Text = "over: " + e.Text; return e }, want: "over: long run"},
	} {
		var told []string
		for _, e := range news(before, step.now, step.gone) {
			told = append(told, e.Text)
		}
		if got := strings.Join(told, "; "); got != step.want {
			t.Errorf("step %d: told %q, want %q", n, got, step.want)
		}
		before = step.now
	}
}

// What is asked for is asked of svc-master and svc-promise; what is there at the beginning is not told.
func TestVerdictsAndCrimesAreThoseOfWhatWasAskedFor(t *testing.T) {
	servePromise(t)
	e := &events{session: &session{out: &strings.Builder{}}, treeID: "t0123456789ab"}
	f, err := e.session.fleet()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e.fleet = f
	for name, c := range map[string]struct {
		ask  func(context.Context) (map[string]judged, error)
		want string
	}{
		"verdicts": {e.askVerdicts, "promise disk failed, anomaly, muted: full really"},
		"crimes":   {e.askCrimes, "never passed disk: failed all 4 times"},
	} {
		now, err := c.ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(now)), func(j judged) bool { return j.event.TreeID == e.treeID && strings.HasSuffix(j.event.Text, c.want) }) {
			t.Errorf("%s: %v", name, now)
		}
	}
}
