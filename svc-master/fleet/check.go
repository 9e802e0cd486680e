package fleet

import (
	"fmt"
	"slices"
)

// Check says which invariant of the package does not hold, if any: for tests and simulators, after every step. It looks at everything, with nothing
// but the stored fields, and compares what the index counted.
func (t *Tree) Check() error {
	for _, check := range []func() error{t.checkHeader, t.checkInstances, t.checkPartitions, t.checkHosted, t.checkConvergence, t.checkIndex} {
		if err := check(); err != nil {
			return fmt.Errorf("tree %s: %w", t.ID, err)
		}
	}
	return nil
}

func (t *Tree) checkHeader() error {
	root := t.Instances[t.RootID]
	switch {
	case t.RootID != "" && root == nil:
		return fmt.Errorf("root %s is no instance", t.RootID)
	case root != nil && (root.RequesterID != "" || root.Title != t.Title):
		return fmt.Errorf("root %s has requester %q, and title %q instead of %q", root.ID, root.RequesterID, root.Title, t.Title)
	case len(t.Instances) > MaxInstances:
		return fmt.Errorf("%d instances", len(t.Instances))
	case t.Generation.Less(t.Banged.Generation) || t.Banged.Generation.Less(t.BangedNow):
		return fmt.Errorf("newest bang at %s and %s of generation %s", t.Banged.Generation, t.BangedNow, t.Generation)
	case t.Banged.Number > t.LastBang:
		return fmt.Errorf("bang %d of %d", t.Banged.Number, t.LastBang)
	}
	return nil
}

func (t *Tree) checkInstances() error {
	titles := map[[2]string]bool{}
	for id, i := range t.Instances {
		requester := t.Instances[i.RequesterID]
		title := [2]string{i.RequesterID, i.Title}
		switch {
		case id != i.ID || number(id) == 0 || number(id) > t.LastInstance:
			return fmt.Errorf("instance %s is kept as %s, the last is %d", i.ID, id, t.LastInstance)
		case i.Remnant():
			if p := t.Partitions[id]; i.RequesterID != "" || id == t.RootID || i.State != Destroyed || p == nil {
				return fmt.Errorf("remnant %s has requester %q, is %s, and is in partition %v", id, i.RequesterID, i.State, p)
			}
			continue
		case requester == nil && id != t.RootID:
			return fmt.Errorf("instance %s outlived its requester %s", id, i.RequesterID)
		case requester != nil && requester.State == Destroyed && i.State != Destroyed:
			return fmt.Errorf("instance %s is %s, its requester is destroyed", id, i.State)
		case i.State < Started || i.State > Destroyed:
			return fmt.Errorf("instance %s has state %s", id, i.State)
		case t.Generation.Less(i.Generation) || i.Generation.IsZero():
			return fmt.Errorf("instance %s changed at %s of %s", id, i.Generation, t.Generation)
		case titles[title]:
			return fmt.Errorf("two instances titled %q", i.Title)
		case i.Unallocated != "" && t.Partitions[id] != nil:
			return fmt.Errorf("instance %s is allocated, and is not: %s", id, i.Unallocated)
		case slices.Contains(values(i.Parameters), "") || slices.Contains(values(i.Connection), ""):
			return fmt.Errorf("instance %s has an empty parameter", id)
		case len(t.chain(id)) > MaxDepth+1:
			return fmt.Errorf("instance %s has %d requesters", id, len(t.chain(id)))
		}
		titles[title] = true
	}
	return nil
}

func (t *Tree) checkPartitions() error {
	places, allocations := map[[2]string]bool{}, map[string]bool{}
	for id, p := range t.Partitions {
		place := [2]string{p.Computer, p.Name}
		switch {
		case id != p.InstanceID || t.Instances[id] == nil:
			return fmt.Errorf("partition %s of %s holds %s, which is gone", p.Name, p.Computer, p.InstanceID)
		case places[place] || allocations[p.AllocationID] || number(p.AllocationID) > t.LastAllocation:
			return fmt.Errorf("allocation %s in partition %s of %s is not the only one", p.AllocationID, p.Name, p.Computer)
		case t.Wanted(p).Less(p.Settled) || t.Generation.Less(t.Wanted(p)):
			return fmt.Errorf("%s settled %s, wanted %s, of %s", id, p.Settled, t.Wanted(p), t.Generation)
		case p.Run != nil && (p.Run.Token != p.Token || t.Wanted(p).Less(p.Run.Wanted)):
			return fmt.Errorf("%s is in run %+v, its token is %d", id, *p.Run, p.Token)
		case p.Run != nil && p.Awaiting > t.LastBang:
			return fmt.Errorf("%s awaits bang %d of %d", id, p.Awaiting, t.LastBang)
		case p.Run != nil && p.ended(p.Run.ID) != nil:
			return fmt.Errorf("%s is in run %s, which has ended", id, p.Run.ID)
		case p.Latest != nil && (p.Latest.Result == Success) != (p.FailuresInRow == 0):
			return fmt.Errorf("%s has %d failures after %s", id, p.FailuresInRow, p.Latest.Result)
		case p.Alarm != nil && p.Alarm.Token > p.Token || p.Warning != nil && p.Warning.Token > p.Token:
			return fmt.Errorf("%s has an alarm of a run to come", id)
		case len(p.Keys) > MaxBangKeys || len(p.Rows) > MaxFutileRows || len(p.Recent) > MaxRecentRuns || len(p.Boots) > MaxBoots || len(p.Publishing.Times) > LoopFrom:
			return fmt.Errorf("%s has %d keys, %d rows, %d runs, %d boots, %d publications", id, len(p.Keys), len(p.Rows), len(p.Recent), len(p.Boots), len(p.Publishing.Times))
		}
		places[place], allocations[p.AllocationID] = true, true
	}
	return nil
}

func (t *Tree) checkConvergence() error {
	c := t.Convergence
	if c == nil {
		return nil
	}
	awaiting := uint64(0)
	for i := range c.Awaiting {
		a := &c.Awaiting[i]
		awaiting += a.Current.Count + a.Next.Count
		switch {
		case a.Instance != "" && t.Instances[a.Instance] == nil:
			return fmt.Errorf("convergence %s awaits bangs of %s, which is gone", c.ID, a.Instance)
		case t.behind(a.Instance, a.Current.Generation) == 0:
			return fmt.Errorf("convergence %s awaits bangs that are satisfied: %+v", c.ID, a.Current)
		case a.Next.Count > 0 && !a.Current.Generation.Less(a.Next.Generation):
			return fmt.Errorf("convergence %s awaits %s before %s", c.ID, a.Current.Generation, a.Next.Generation)
		}
		for _, g := range []Group{a.Current, a.Next} {
			if told := len(g.First) + len(g.Last); uint64(told) > g.Count || len(g.First) > MaxBangsTold || len(g.Last) > MaxBangsTold {
				return fmt.Errorf("convergence %s tells %d of %d bangs", c.ID, told, g.Count)
			}
		}
	}
	switch {
	case c.State != Open:
		return fmt.Errorf("convergence %s is %s, and open", c.ID, c.State)
	case len(c.Awaiting) == 0 || len(c.Awaiting) > MaxScopes+1 || len(c.Origins) > MaxScopes:
		return fmt.Errorf("convergence %s awaits %d scopes, of %d origins", c.ID, len(c.Awaiting), len(c.Origins))
	case c.Joined+1 != c.Satisfied+awaiting:
		return fmt.Errorf("convergence %s lost a bang: %d joined, %d satisfied, %d awaiting", c.ID, c.Joined, c.Satisfied, awaiting)
	case len(c.Timeline) > MaxTimeline:
		return fmt.Errorf("convergence %s tells %d moments", c.ID, len(c.Timeline))
	case t.Doomed():
		return fmt.Errorf("convergence %s outlived its tree", c.ID)
	}
	return nil
}

// checkIndex compares what was counted on the way with what a new index finds.
func (t *Tree) checkIndex() error {
	kept := t.index
	if kept == nil {
		return nil
	}
	t.index = nil
	anew := t.view()
	t.index = kept
	if kept.unsettled != anew.unsettled || kept.waited != anew.waited || len(kept.order) != len(anew.order) || !slices.Equal(kept.behind, anew.behind) {
		return fmt.Errorf("the index counts %d unsettled, %d waited for, %v behind of %d; there are %d, %d, %v of %d",
			kept.unsettled, kept.waited, kept.behind, len(kept.order), anew.unsettled, anew.waited, anew.behind, len(anew.order))
	}
	for computer := range anew.on {
		if !slices.EqualFunc(kept.on[computer], anew.on[computer], func(a, b *member) bool { return *a == *b }) {
			return fmt.Errorf("the index has %d members on %s, there are %d, or their order is another", len(kept.on[computer]), computer, len(anew.on[computer]))
		}
	}
	for id := range t.Instances {
		if !slices.Equal(kept.children[id], anew.children[id]) {
			return fmt.Errorf("the index counts %v as children of %s, there are %v", kept.children[id], id, anew.children[id])
		}
	}
	return nil
}

func values(m map[string]string) []string {
	all := make([]string, 0, len(m))
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
