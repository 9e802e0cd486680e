package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// AuditKind is what happened, as vow.master.v1.AuditKind.
type AuditKind uint8

// Kinds of audit entries of trees.
const (
	AuditUnspecified AuditKind = iota
	AuditRequested
	AuditChanged
	AuditStarted
	AuditStopped
	AuditDestroyed
	AuditRenamed
	AuditAllocated
	AuditEvicted
	AuditFreed
	AuditGone
	AuditPublished
	AuditBanged
	AuditAbandoned
	AuditQuota
	AuditPaused
	AuditResumed
	AuditPromiseMuted
	AuditPromiseUnmuted
)

// What of svc-master makes changes that nobody asks for at that moment.
const (
	// SystemPlacement finds partitions, at the request or later.
	SystemPlacement = "placement"
	// SystemCollection destroys what no run requests any more.
	SystemCollection = "garbage collection"
	// SystemRemoval takes destroyed instances out of their tree when nothing is left of them.
	SystemRemoval = "removal"
	// SystemEviction empties closed computers.
	SystemEviction = "eviction"
	// SystemReconciliation finishes what a crash or a loss of data left.
	SystemReconciliation = "reconciliation"
	// SystemHosting carries words between shared instances and their hosts.
	SystemHosting = "hosting"
	// SystemTime is time that passed.
	SystemTime = "time"
)

// AuditEntry tells one change, for the record of who did what (docs/audit.md). It names what changed and never holds the value of a parameter.
type AuditEntry struct {
	Kind AuditKind
	// System is what of svc-master did it; empty = whoever the event came from.
	System string
	// InstanceID and Title that it is about; of a bang of the tree, the title only.
	InstanceID, Title string
	// Computer, Partition and AllocationID that the instance has, or had.
	Computer, Partition, AllocationID string
	// Release, as it was requested: secrets in its URL included.
	Release string
	// Changes are names: `release`, `parameter greeting`.
	Changes []string
	// Others is how many other instances changed with it.
	Others int
	// Reason in words.
	Reason string
	// BangID and Outcome of a bang.
	BangID  string
	Outcome Outcome
	// Failed is an act that was told before, and not done.
	Failed bool
}

// audit adds an entry about an instance that is, or was until now, in the partition p, which may be nil.
func (e *Effects) audit(entry AuditEntry, i *Instance, p *Partition) {
	entry.InstanceID, entry.Title, entry.Release, entry.Reason = i.ID, i.Title, i.Release, head(entry.Reason)
	if p != nil {
		entry.Computer, entry.Partition, entry.AllocationID = p.Computer, p.Name, p.AllocationID
	}
	e.Audit = append(e.Audit, entry)
}

// auditOf is the kind of a change of state.
func auditOf(s State) AuditKind {
	switch s {
	case StateUnspecified:
	case Started:
		return AuditStarted
	case Stopped:
		return AuditStopped
	case Destroyed:
		return AuditDestroyed
	}
	return AuditUnspecified
}

// changes names what a request changes of an instance.
func (i *Instance) changes(e *Request, parameters map[string]string, elsewhere bool) []string {
	var names []string
	if i.Release != e.Release {
		names = append(names, "release")
	}
	if i.Type != e.Type {
		names = append(names, "type")
	}
	if elsewhere {
		names = append(names, "place")
	}
	return bounded(append(names, changedKeys("parameter ", i.Parameters, parameters)...))
}

// serialised is the parameter that holds all others as one JSON object.
const serialised = "_"

// changedKeys names the keys whose values differ, sorted; of serialised parameters those of the object, when both are one.
func changedKeys(prefix string, before, after map[string]string) []string {
	var names []string
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, after)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if before[k] == after[k] {
			continue
		}
		if k == serialised {
			old, known := object(before[k])
			now, is := object(after[k])
			if known && is {
				names = append(names, changedKeys(prefix+serialised+".", old, now)...)
				continue
			}
		}
		if len(k) > MaxAuditName {
			k = headOf(k, MaxAuditName) + "…"
		}
		names = append(names, prefix+k)
	}
	return names
}

// object reads a JSON object as its keys with their undecoded values; no text is an empty one.
func object(text string) (map[string]string, bool) {
	if text == "" {
		return nil, true
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil || fields == nil {
		return nil, false
	}
	out := make(map[string]string, len(fields))
	for k, v := range fields {
		out[k] = string(v)
	}
	return out, true
}

// bounded cuts a list of names.
func bounded(names []string) []string {
	if more := len(names) - MaxAuditChanges; more > 0 {
		names = append(slices.Clip(names[:MaxAuditChanges]), fmt.Sprintf("and %d more", more))
	}
	return names
}
