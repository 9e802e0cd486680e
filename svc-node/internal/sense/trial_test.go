package sense

import (
	"slices"
	"testing"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// A replica of svc-promise that never heard of the partition decides on a rule of several groups all the same: they are in the request.
func TestARunsGroupsTravelWithThoseBeforeThemThatTheirRulesLookAt(t *testing.T) {
	m, _ := manager(t, &counter{}, "t1.a1", nil)
	record := func(promise string, kind typev1.PromiseKind, test *typev1.Rule, times int) (newest *typev1.SenseGroup) {
		for range times {
			newest = &typev1.SenseGroup{Promise: promise, Kind: kind, Test: test}
			if err := m.s.Log.Append("t1.a1", newest); err != nil {
				t.Fatal(err)
			}
		}
		return newest
	}
	load := record("load", typev1.PromiseKind_PROMISE_KIND_BUILTIN, &typev1.Rule{ResultCount: 10, FailureAmount: 10}, 12)
	script := record("script", typev1.PromiseKind_PROMISE_KIND_EXECUTABLE, nil, 2)
	port := record("port", typev1.PromiseKind_PROMISE_KIND_BUILTIN, nil, 5)
	record("load", typev1.PromiseKind_PROMISE_KIND_BUILTIN, nil, 1) // recorded since, and none of the run's
	sequences := map[string][]uint64{}
	for _, g := range m.windows("t1.a1", []*typev1.SenseGroup{load, script, port}) {
		sequences[g.GetPromise()] = append(sequences[g.GetPromise()], g.GetSequence())
	}
	for promise, want := range map[string][]uint64{"load": {3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, "script": {1, 2}, "port": {5}} {
		if !slices.Equal(sequences[promise], want) {
			t.Errorf("of %s travel %v, want %v", promise, sequences[promise], want)
		}
	}
}
