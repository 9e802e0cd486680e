package fleet

import (
	"fmt"
	"testing"
	"time"
)

// grown is a tree of n started and allocated members that all ran.
func grown(t testing.TB, n int) *Tree {
	tree := New("t0", "default", 1)
	must := func(_ Answer, _ Effects, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		e := Request{Title: fmt.Sprintf("n%d", i), Release: "r"}
		if i > 0 {
			e.RequesterID = "t0.i1"
		}
		must(tree.Step(e, noon))
	}
	for i := range n {
		must(tree.Step(Allocate{InstanceID: fmt.Sprintf("t0.i%d", i+1), Computer: "c", Partition: fmt.Sprintf("p%d", i)}, noon))
	}
	for i := range n {
		runs(t, tree, fmt.Sprintf("t0.a%d", i+1), fmt.Sprintf("first%d", i))
	}
	return tree
}

func runs(t testing.TB, tree *Tree, allocation, run string) {
	a, _, err := tree.BeginRun(BeginRun{AllocationID: allocation, RunID: run}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tree.ReportRun(ReportRun{AllocationID: allocation, RunID: run, Token: a.Token, Result: Success}, noon); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkJoinedBang is manual bangs on a tree with an open convergence.
func BenchmarkJoinedBang(b *testing.B) {
	for _, members := range []int{1, 100, 2_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			tree := grown(b, members)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := tree.Bang(Bang{Origin: OriginManual, Source: "ann", RequestID: "r"}, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMutedBang is promises of a partition whose bang awaits its run, each with another key.
func BenchmarkMutedBang(b *testing.B) {
	tree := grown(b, 100)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		if _, _, err := tree.Bang(Bang{AllocationID: "t0.a7", Origin: OriginProcess, Source: "httpd", ExitSequence: n}, noon); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRun is BeginRun and ReportRun in turn around a tree with an open convergence, which a bang per round keeps open: two events an iteration.
func BenchmarkRun(b *testing.B) {
	for _, members := range []int{100, 2_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			tree := grown(b, members)
			allocations := make([]string, members)
			for i := range allocations {
				allocations[i] = fmt.Sprintf("t0.a%d", i+1)
			}
			names := make([]string, 1<<12)
			for i := range names {
				names[i] = fmt.Sprintf("0190b5a0-0000-7000-8000-%012d", i)
			}
			n, now := 0, noon
			b.ReportAllocs()
			for b.Loop() {
				at := n % members
				if at == 0 {
					now = now.Add(time.Second)
					if _, _, err := tree.Bang(Bang{Origin: OriginManual, Source: "ann"}, now); err != nil {
						b.Fatal(err)
					}
				}
				run := names[(n/members)%len(names)]
				a, _, err := tree.BeginRun(BeginRun{AllocationID: allocations[at], RunID: run, Cause: CauseBang}, now)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := tree.ReportRun(ReportRun{AllocationID: allocations[at], RunID: run, Token: a.Token, Result: Success}, now); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

// BenchmarkDestroyUnallocated ends a tree of which nothing was ever allocated, which is one event: 2,000 instances beneath the root.
func BenchmarkDestroyUnallocated(b *testing.B) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		b.StopTimer()
		tree := New("t1", "default", 1)
		root, _, err := tree.Request(Request{Title: "shop", Release: "file:///r"}, now)
		if err != nil {
			b.Fatal(err)
		}
		for n := range 2000 {
			if _, _, err := tree.Request(Request{RequesterID: root.InstanceID, Title: fmt.Sprint(n), Release: "file:///r"}, now); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if _, _, err := tree.SetState(SetState{InstanceID: root.InstanceID, State: Destroyed}, now); err != nil || !tree.Gone() {
			b.Fatal(err)
		}
	}
}
