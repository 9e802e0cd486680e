package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Rule is a sentence of docs/rules.md, "what must never happen".
type Rule struct {
	Sentence string
	// Broken returns what in a history breaks it, in words.
	Broken func(h *History) []string
}

// Rules are all sentences that a history can break.
func Rules() []Rule {
	return []Rule{
		{"an acknowledged bang is lost", lostBangs},
		{"an acknowledged request is lost", lostRequests},
		{"an acknowledged report is lost", lostReports},
		{"two runs of one partition at once", runsAtOnce},
		{"a result for a superseded token is accepted", supersededResults},
		{"an older desired state over a newer one", olderDesired},
		{"a dead computer unnoticed", unnoticed},
		{"a herd", herd},
		{"a promise that can never pass causes more than 60 runs a day", tooManyRuns},
		{"a node is told what is another's", notTheirs},
		{"Redis evicts state", evicted},
	}
}

// lost is whether an operation may be gone: the store lost it, and the epoch tells.
func (h *History) lost(o Operation) bool {
	return h.Lossy && o.Generation.Epoch < h.Final.Generation[o.Tree].Epoch
}

// lostBangs: each acknowledged bang is recorded, and satisfied in the end; an id names one bang for ever, also where the first one was lost.
func lostBangs(h *History) (broken []string) {
	named := map[string]string{}
	for _, o := range h.Operations {
		if o.Kind != Bang || !o.Answered {
			continue
		}
		if other, ok := named[o.BangID]; ok && other != o.ID {
			broken = append(broken, fmt.Sprintf("bangs %s and %s were both acknowledged as %s", other, o.ID, o.BangID))
		}
		named[o.BangID] = o.ID
		switch satisfied, recorded := h.Final.Satisfied[o.BangID]; {
		case !recorded && h.lost(o):
		case !recorded:
			broken = append(broken, fmt.Sprintf("bang %s, acknowledged at %s as %s, is not recorded", o.ID, o.Return, o.BangID))
		case !satisfied:
			broken = append(broken, fmt.Sprintf("bang %s, acknowledged at %s as %s, was never satisfied", o.ID, o.Return, o.BangID))
		}
	}
	return broken
}

// lostRequests: what is wanted of a tree in the end was requested, and nothing that was acknowledged was requested after it.
func lostRequests(h *History) (broken []string) {
	trees := map[string][]Operation{}
	for _, o := range h.Operations {
		if o.Kind == Request {
			trees[o.Tree] = append(trees[o.Tree], o)
		}
	}
	for _, tree := range slices.Sorted(maps.Keys(trees)) {
		value := h.Final.Value[tree]
		at := slices.IndexFunc(trees[tree], func(o Operation) bool { return o.Value == value })
		if at < 0 && value == "" && !slices.ContainsFunc(trees[tree], func(o Operation) bool { return o.Answered && !h.lost(o) }) {
			continue // all of them are gone, or none had an answer
		}
		if at < 0 {
			broken = append(broken, fmt.Sprintf("tree %s has %q in the end, which nobody requested", tree, value))
			continue
		}
		last := trees[tree][at]
		for _, o := range trees[tree] {
			if !o.Answered {
				continue
			}
			if last.Answered && last.Before(o.Span) && !h.lost(o) {
				broken = append(broken, fmt.Sprintf("tree %s has %q in the end, but %q was acknowledged at %s after it", tree, value, o.Value, o.Return))
			}
			if h.Final.Generation[tree].Less(o.Generation) {
				broken = append(broken, fmt.Sprintf("tree %s ends at generation %s, but %s was acknowledged", tree, h.Final.Generation[tree], o.Generation))
			}
		}
	}
	return broken
}

// lostReports: an acknowledged success settles the generation that its BeginRun named, for good.
func lostReports(h *History) (broken []string) {
	begun := map[string]Begin{}
	for _, b := range h.Begins {
		begun[b.RunID] = b
	}
	for _, r := range h.Reports {
		b, ok := begun[r.RunID]
		if settled := h.Final.Settled[r.Allocation]; ok && r.Accepted && r.Success && settled.Less(b.Wanted) {
			broken = append(broken, fmt.Sprintf("run %s settled %s of %s at %s, which ends settled at %s", r.RunID, b.Wanted, r.Allocation, r.Return, settled))
		}
	}
	return broken
}

// runsAtOnce: the runs of a partition on its machine do not overlap.
func runsAtOnce(h *History) (broken []string) {
	of := map[string][]Run{}
	for _, r := range h.Runs {
		of[r.Computer+"/"+r.Partition] = append(of[r.Computer+"/"+r.Partition], r)
	}
	for _, partition := range slices.Sorted(maps.Keys(of)) {
		runs := of[partition]
		slices.SortFunc(runs, func(a, b Run) int { return int(a.From - b.From) })
		for i := 1; i < len(runs); i++ {
			if last, next := runs[i-1], runs[i]; next.From < last.Until {
				broken = append(broken, fmt.Sprintf("%s: run %s began at %s, before run %s ended at %s", partition, next.RunID, next.From, last.RunID, last.Until))
			}
		}
	}
	return broken
}

// supersededResults: no report is accepted that was first sent after a newer run of the allocation had begun, and no two runs have one token.
func supersededResults(h *History) (broken []string) {
	begins := map[string][]Begin{}
	for _, b := range h.Begins {
		begins[b.Allocation] = append(begins[b.Allocation], b)
	}
	for _, allocation := range slices.Sorted(maps.Keys(begins)) {
		run := map[uint64]string{}
		for _, b := range begins[allocation] {
			if other, ok := run[b.Token]; ok && other != b.RunID {
				broken = append(broken, fmt.Sprintf("runs %s and %s of %s have both token %d", other, b.RunID, allocation, b.Token))
			}
			run[b.Token] = b.RunID
		}
	}
	for _, r := range h.Reports {
		if !r.Accepted {
			continue
		}
		for _, b := range begins[r.Allocation] {
			if b.Token > r.Token && b.Before(r.Span) {
				broken = append(broken, fmt.Sprintf("the report of run %s, token %d, was accepted at %s, after run %s, token %d, had begun at %s", r.RunID, r.Token, r.Return, b.RunID, b.Token, b.Return))
			}
		}
	}
	return broken
}

// olderDesired: a run is told nothing older than a run before it was, nor than what had been acknowledged to who requested.
func olderDesired(h *History) (broken []string) {
	begins := slices.Clone(h.Begins)
	slices.SortFunc(begins, func(a, b Begin) int { return int(a.Return - b.Return) })
	type newest struct {
		at      time.Duration
		desired Generation
	}
	told := map[string][]newest{} // by allocation: each one greater than the one before
	for _, b := range begins {
		all := told[b.Allocation]
		if i := slices.IndexFunc(all, func(n newest) bool { return n.at < b.Call && b.Desired.Less(n.desired) }); i >= 0 {
			broken = append(broken, fmt.Sprintf("run %s of %s was told %s at %s, after %s at %s", b.RunID, b.Allocation, b.Desired, b.Return, all[i].desired, all[i].at))
		}
		if len(all) == 0 || all[len(all)-1].desired.Less(b.Desired) {
			told[b.Allocation] = append(all, newest{b.Return, b.Desired})
		}
	}
	for _, o := range h.Operations {
		if o.Kind != Request || !o.Answered {
			continue
		}
		for _, b := range begins {
			if b.Allocation == o.Allocation && o.Before(b.Span) && b.Desired.Less(o.Generation) {
				broken = append(broken, fmt.Sprintf("run %s of %s was told %s at %s, but %s had been requested at %s", b.RunID, b.Allocation, b.Desired, b.Return, o.Generation, o.Return))
			}
		}
	}
	return broken
}

// Ages of a last contact from which a computer is not Green, and Red (docs/rules.md, computer colour); and how late that may be told after a restart.
const (
	orangeFrom = 5 * time.Minute
	redFrom    = 60 * time.Minute
	within     = 30 * time.Second // contacts are written in batches that often
)

// unnoticed: nobody who was not heard of for long is shown as alive.
func unnoticed(h *History) (broken []string) {
	for _, c := range h.Colours {
		if (c.Silent > orangeFrom+within && c.Colour == "green") || (c.Silent > redFrom+within && c.Colour != "red") {
			broken = append(broken, fmt.Sprintf("%s is %s at %s, although it has been silent for %s", c.Computer, c.Colour, c.At, c.Silent))
		}
	}
	return broken
}

// herd: a restart makes nobody run. What nothing asked for is at most 1.5 × one run in a period; and one for each move of the epoch, when everybody reads anew.
func herd(h *History) (broken []string) {
	runs := map[string]map[string]bool{}
	for _, o := range h.Orders {
		if o.Unasked {
			partition := o.Computer + "/" + o.Partition
			if runs[partition] == nil {
				runs[partition] = map[string]bool{}
			}
			runs[partition][o.RunID] = true
		}
	}
	periods := 1 + int(h.Length/h.Period)
	allowed := (3*periods+1)/2 + h.Moves
	for _, partition := range slices.Sorted(maps.Keys(runs)) {
		if n := len(runs[partition]); n > allowed {
			broken = append(broken, fmt.Sprintf("%s was ordered to run %d times although nothing had happened to it, in %s", partition, n, h.Length))
		}
	}
	return broken
}

// runsADay bounds the runs of what never succeeds.
const runsADay = 60

// tooManyRuns: an allocation of which no run ever succeeded is begun at most 60 times a day in one epoch of the store. When that moves, with each restart of Redis, all is wanted anew, and the growing delay begins anew as after a change (docs/rules.md).
func tooManyRuns(h *History) (broken []string) {
	type key struct {
		allocation string
		epoch      uint64
	}
	succeeded, runs := map[string]bool{}, map[key]map[string]bool{}
	for _, r := range h.Reports {
		if r.Success {
			succeeded[r.Allocation] = true
		}
	}
	for _, b := range h.Begins {
		of := key{b.Allocation, b.Desired.Epoch}
		if runs[of] == nil {
			runs[of] = map[string]bool{}
		}
		runs[of][b.RunID] = true
	}
	days := 1 + int(h.Length/(24*time.Hour))
	for of, ids := range runs {
		if n := len(ids); !succeeded[of.allocation] && n > runsADay*days {
			broken = append(broken, fmt.Sprintf("%s, which never passes, ran %d times in epoch %d, in %s", of.allocation, n, of.epoch, h.Length))
		}
	}
	slices.Sort(broken)
	return broken
}

// notTheirs: a node's stream has orders for that computer only.
func notTheirs(h *History) (broken []string) {
	for _, o := range h.Orders {
		if o.Stream != o.Computer {
			broken = append(broken, fmt.Sprintf("%s was handed an order for %s of %s at %s", o.Stream, o.Partition, o.Computer, o.At))
		}
	}
	return broken
}

// evicted: Redis gave nothing up.
func evicted(h *History) []string {
	if h.Final.Evicted > 0 {
		return []string{fmt.Sprintf("Redis evicted %d keys", h.Final.Evicted)}
	}
	return nil
}
