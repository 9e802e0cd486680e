package fleet

import (
	"maps"
	"strconv"
	"time"
)

// A shared instance has no partition: another instance, its host, serves it (docs/shared.md). Here is the side of its own tree, which says what is wanted and
// by whom it is hosted; the side of its host's tree is in hosted.go.
//
//	             TakeHost                     HostSaid
//	unallocated ─────────▶ hosted, not served ◀────────▶ served
//	     ▲                      │                          │
//	     └────── HostLost ──────┴──────────────────────────┘

// Word is what a host says of a shared instance.
type Word struct {
	// Stamp orders the words of a host: a generation of its tree. Older never overwrites newer.
	Stamp Generation
	// Heard is the newest generation of the shared instance that the host was told.
	Heard Generation
	// Unserved is why the shared instance is not served as it is wanted now; empty = it is.
	Unserved string
	// Pending is true when it is served as it was wanted before, and its host only has to run: that is no Red.
	Pending bool
	// Since is when it became Red or Green, by the clock of the shared instance's tree.
	Since time.Time
}

// well tells whether it is Green.
func (w *Word) well() bool { return w.Unserved == "" || w.Pending }

// unheard is the word of a host that does not know yet.
const unheard = "its host has not heard of its last change yet"

// Hosting is a shared instance and a host of it, as at least one of the two sides sees it.
type Hosting struct {
	SharedID, HostID string
}

// TakeHost is the choice of a host; the host is told then.
type TakeHost struct {
	SharedID, HostID string
	Trace            Trace
}

// HostSaid is what the host says now.
type HostSaid struct {
	SharedID, HostID string
	Word             Word
	// Connection is all that the host publishes for it.
	Connection map[string]string
	// Delay is how long the run of its requester waits: a publish loop.
	Delay time.Duration
	Trace Trace
}

// HostLost says that the host does not serve the shared instance any more, or never could.
type HostLost struct {
	SharedID, HostID string
	// Reason in words; it becomes the reason why the instance is not allocated.
	Reason string
	Trace  Trace
}

// SharedAnswer tells whether anything changed.
type SharedAnswer struct{ Changed bool }

// TakeHost gives a shared instance its host. The same host again changes nothing. Errors: NotFound, FailedPrecondition (not a shared instance, being destroyed,
// or it has another host).
func (t *Tree) TakeHost(e TakeHost, now time.Time) (SharedAnswer, Effects, error) {
	i, err := t.shared(e.SharedID)
	switch {
	case err != nil:
		return SharedAnswer{}, Effects{}, err
	case i.Host == e.HostID:
		return SharedAnswer{}, Effects{}, nil
	case i.Host != "" || i.State == Destroyed || e.HostID == "":
		return SharedAnswer{}, Effects{}, fail(FailedPrecondition, "cannot host %q by %s: it is %s, and its host is %q", i.Title, e.HostID, i.State, i.Host)
	}
	var fx Effects
	i.Host, i.Unallocated, i.Word = e.HostID, "", Word{Unserved: unheard, Since: now}
	t.changed(&fx, []*Instance{i}, true, 0, e.Trace, now)
	fx.audit(AuditEntry{Kind: AuditAllocated, System: SystemPlacement, Reason: "hosted by " + e.HostID}, i, nil)
	return SharedAnswer{Changed: true}, fx, nil
}

// HostSaid takes over what the host says, if that is newer than what it said before, and about what is wanted now. The requester is woken when other connection parameters are published,
// and when the instance is served from now on and its requester waits for something. Errors: NotFound, FailedPrecondition (another host).
func (t *Tree) HostSaid(e HostSaid, now time.Time) (SharedAnswer, Effects, error) {
	i, err := t.shared(e.SharedID)
	switch {
	case err != nil:
		return SharedAnswer{}, Effects{}, err
	case i.Host != e.HostID:
		return SharedAnswer{}, Effects{}, fail(FailedPrecondition, "cannot take the word of %s for %q: its host is %q", e.HostID, i.Title, i.Host)
	case !i.Word.Stamp.Less(e.Word.Stamp) || e.Word.Heard.Less(i.Generation):
		return SharedAnswer{}, Effects{}, nil
	}
	unsettled := t.Unsettled()
	var fx Effects
	served := i.Word.Unserved != "" && e.Word.Unserved == ""
	e.Word.Since = i.Word.Since
	if i.Word.well() != e.Word.well() {
		e.Word.Since = now
	}
	i.Word = e.Word
	fx.Changed.instance(i.ID)
	requester, connection := t.Instances[i.RequesterID], withoutEmpty(e.Connection)
	published := !maps.Equal(i.Connection, connection)
	if len(connection) == 0 && e.Word.Unserved != "" {
		published = false // a host that published nothing yet takes nothing away
	}
	if published {
		fx.audit(AuditEntry{Kind: AuditPublished, System: SystemHosting, Changes: bounded(changedKeys("connection parameter ", i.Connection, connection))}, i, nil)
		i.Connection = connection
	}
	switch {
	case published && requester != nil:
		t.changed(&fx, []*Instance{requester}, false, e.Delay, e.Trace, now)
	case served:
		t.firstReady(&fx, i, e.Trace, now)
	}
	if len(fx.Feed) == 0 { // its colour turned, and nobody runs for it
		fx.Feed = []FeedEntry{{Kind: FeedChanged, TreeID: t.ID, Generation: t.Generation, Membership: t.Membership, InstanceIDs: []string{i.ID}, At: now, Trace: e.Trace}}
	}
	fx.Settlement = t.settlement(unsettled)
	return SharedAnswer{Changed: true}, fx, nil
}

// HostLost takes a shared instance from its host; it wants another one. What it published stays, until the next host says otherwise.
// Errors: NotFound, FailedPrecondition (another host).
func (t *Tree) HostLost(e HostLost, now time.Time) (SharedAnswer, Effects, error) {
	i, err := t.shared(e.SharedID)
	switch {
	case err != nil:
		return SharedAnswer{}, Effects{}, err
	case i.Host != e.HostID || i.Host == "":
		return SharedAnswer{}, Effects{}, fail(FailedPrecondition, "cannot take %q from %s: its host is %q", i.Title, e.HostID, i.Host)
	}
	var fx Effects
	i.Host, i.Word, i.Unallocated, i.RequestedAt = "", Word{}, e.Reason, now
	t.changed(&fx, []*Instance{i}, true, 0, e.Trace, now)
	fx.audit(AuditEntry{Kind: AuditFreed, System: SystemHosting, Reason: e.Reason}, i, nil)
	if i.State != Destroyed {
		fx.Place = []string{i.ID}
	}
	return SharedAnswer{Changed: true}, fx, nil
}

// shared finds a shared instance.
func (t *Tree) shared(id string) (*Instance, error) {
	i := t.Instances[id]
	switch {
	case i == nil:
		return nil, fail(NotFound, "cannot host %s: there is no such instance", id)
	case !i.Shared:
		return nil, fail(FailedPrecondition, "cannot host %q: it is not a shared instance", i.Title)
	}
	return i, nil
}

// Waits tells whether an instance waits for a partition, or for a host.
func (t *Tree) Waits(i *Instance) bool {
	return t.Partitions[i.ID] == nil && i.Host == "" && i.State != Destroyed
}

// Wants is what the tree wants of a host for a shared instance; false = nothing: it is gone, stopped, or hosted by another one.
func (t *Tree) Wants(h Hosting) (Host, bool) {
	i := t.Instances[h.SharedID]
	if i == nil || i.Host != h.HostID || i.State != Started {
		return Host{}, false
	}
	return Host{
		SharedID: i.ID, HostID: h.HostID, Account: t.Account, Title: i.Title, Release: i.Release, Type: i.Type, Parameters: i.Parameters, Generation: i.Generation,
	}, true
}

// sharedColour is the colour of a shared instance.
func (i *Instance) sharedColour() Status {
	switch {
	case i.State != Started:
		return Status{}
	case i.Host == "" && i.Unallocated != "":
		return Status{Colour: Red, Reason: "not allocated: " + i.Unallocated, Since: i.RequestedAt}
	case i.Host == "":
		return Status{Colour: Red, Reason: "not allocated", Since: i.RequestedAt}
	case !i.Word.well():
		return Status{Colour: Red, Reason: i.Word.Unserved, Since: i.Word.Since}
	}
	return Status{Colour: Green, Since: i.Word.Since}
}

// sharedReady is Ready of a shared instance. A stopped one is what it should be: its requester, stopped with it, does not wait for it.
func (i *Instance) sharedReady() (bool, string) {
	switch {
	case i.State == Destroyed:
		return false, "being destroyed"
	case i.Host == "" && i.Unallocated != "":
		return false, "not allocated: " + i.Unallocated
	case i.Host == "":
		return false, "not allocated yet"
	case i.State == Started && i.Word.Unserved != "":
		return false, i.Word.Unserved
	}
	return true, ""
}

// checkShared is what a request for a shared instance may not ask for, and what only such a one may.
func (e *Request) checkShared() error {
	switch {
	case !e.Shared && e.Sla.Host != "":
		return invalid("sla", "cannot request %q: sla: only a shared instance has a host", e.Title)
	case e.Shared && (e.Sla.Needs != Needs{} || e.Sla.MayMove):
		return invalid("sla", "cannot request %q: sla: a shared instance needs nothing of a computer, and does not move", e.Title)
	case e.Shared && e.Retention != 0:
		return invalid("retention_delay", "cannot request %q: a shared instance has no content to keep", e.Title)
	case len(e.Sla.Host) > MaxLabel+1:
		return invalid("sla", "cannot request %q: sla: %s is no instance", e.Title, strconv.Quote(head(e.Sla.Host)))
	}
	return nil
}
