package fleet

import "time"

// Instance is a requested service: what is wanted.
type Instance struct {
	// ID is `<tree>.i<n>`.
	ID string
	// RequesterID is the instance that requested it; empty for the root.
	RequesterID string
	// Title is unique among what its requester requested.
	Title string
	// Release is the URL of the software release; Type the software type, `default` unless said.
	Release, Type string
	// Parameters; an empty value is the same as none and is not stored.
	Parameters map[string]string
	// State that was requested. Destroyed means: as soon as its children are gone (see Tree.Desired).
	State State
	// Computer that the requester asked for; empty = anywhere.
	Computer string
	// Sla is what else it needs of a computer. An allocated instance stays where it is, whatever it needs since.
	Sla Sla
	// Shared is true for a shared instance: it has no partition, and is served by Host, an instance of this tree or another one; empty = it has none yet.
	Shared bool
	Host   string
	// Word is what its host says of it.
	Word Word
	// Ill is why, as a host, it serves nobody: what those that it hosts were told; empty = it is Green. IllAt is the generation at which that turned.
	Ill   string
	IllAt Generation
	// ByRun is true when a run of its requester requested it: it goes when a later one does not.
	ByRun bool
	// RemnantOf is the instance that was evicted, when this is what it left in its partition; empty for every other.
	RemnantOf string
	// Retention is how long its content is kept after it is destroyed, as its first request said (docs/partition-life.md).
	Retention time.Duration
	// Connection is what it published.
	Connection map[string]string
	// Generation of the last change of its desired state. Older never overwrites newer.
	Generation Generation
	// RequestedAt is when it was first requested; since when it is not allocated, if it is not.
	RequestedAt time.Time
	// ParameterProblem is what is wrong with its parameters by the schema of its release, which became known after it was requested.
	ParameterProblem string
	// Unallocated is why it is not allocated, in words; empty when it is, or when nobody looked for a place yet.
	Unallocated string
}

// problem tells what is wrong with its parameters.
func (i *Instance) problem() string {
	return "its parameters are not what its software release wants: " + i.ParameterProblem
}

// Desired is what is wanted of an instance right now: the requested state, but for a destroyed instance that still has children, which is stopped until
// they are gone: children are destroyed before their requesters.
func (t *Tree) Desired(i *Instance) State {
	if i.State == Destroyed && len(t.view().children[i.ID]) > 0 {
		return Stopped
	}
	return i.State
}
