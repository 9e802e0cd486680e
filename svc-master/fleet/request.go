package fleet

import (
	"maps"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// Request says that an instance is wanted, and how. The same title with another release, type, parameters or state is the upgrade: next generation, same
// partition, same data (docs/rules.md).
type Request struct {
	// RequestID is the key, kept by the store; empty = idempotent by (requester, title) alone.
	RequestID string
	// RequesterID is the instance that requests; empty for the root.
	RequesterID string
	// RequesterAllocationID and RequesterToken are those of the run that requests, which must be in progress; empty when no run does.
	RequesterAllocationID string
	RequesterToken        uint64
	// RequesterLocalID is the allocation of a run that the node made by itself, which must be current; empty when none did.
	RequesterLocalID string

	Title   string
	Release string
	// Type; empty = `default`.
	Type string
	// Parameters; an empty value is the same as none.
	Parameters map[string]string
	// State; unspecified = started for a new instance, unchanged for an existing one.
	State State
	// Shared asks for a shared instance; what was requested otherwise under the title stays what it is.
	Shared bool
	// Computer to put it on; empty = anywhere. An allocated instance stays where it is.
	Computer string
	// Sla is what else it needs of a computer, and whether it may move to another one.
	Sla Sla
	// Retention is how long its content is kept after it is destroyed; of an existing instance it changes nothing.
	Retention time.Duration
	Trace     Trace
}

// RequestAnswer is the instance as it is stored now.
type RequestAnswer struct {
	InstanceID string
	// Created is true for a new instance, Changed when its desired state differs from before.
	Created, Changed bool
	// Ready is true when it is allocated and its latest run was a success at or after its last change; else Reason is exactly why not.
	Ready  bool
	Reason string
}

// DefaultType is the software type of who names none.
const DefaultType = "default"

// Request says that an instance is wanted. An instance without a partition is listed in [Effects.Place] each time it is requested.
// Errors: InvalidArgument (names the field), NotFound (requester), FailedPrecondition (requester, instance or tree is destroyed), Exhausted (MaxInstances).
func (t *Tree) Request(e Request, now time.Time) (RequestAnswer, Effects, error) {
	if e.Type == "" {
		e.Type = DefaultType
	}
	parameters := withoutEmpty(e.Parameters)
	if err := e.check(parameters); err != nil {
		return RequestAnswer{}, Effects{}, err
	}
	requester, err := t.requester(&e)
	if err != nil {
		return RequestAnswer{}, Effects{}, err
	}
	i := t.titled(e.RequesterID, e.Title)
	if i != nil && i.State == Destroyed && e.State != Destroyed {
		kept := ""
		if p := t.Partitions[i.ID]; p != nil && !p.RetainedUntil.IsZero() {
			kept = ", and its content is kept until " + p.RetainedUntil.UTC().Format(time.RFC3339)
		}
		return RequestAnswer{}, Effects{}, fail(FailedPrecondition, "cannot request %q: it is being destroyed%s", e.Title, kept)
	}
	if e.State == Destroyed {
		return t.requestDestroyed(&e, i, now)
	}
	if i != nil && i.Shared != e.Shared {
		return RequestAnswer{}, Effects{}, fail(FailedPrecondition, "cannot request %q: one is a shared instance and the other is not; destroy it first", e.Title)
	}
	if i == nil && len(t.Instances) >= MaxInstances {
		return RequestAnswer{}, Effects{}, fail(Exhausted, "cannot request %q: tree %s has %d instances, the most there may be", e.Title, t.ID, MaxInstances)
	}

	unsettled := t.Unsettled()
	fx := Effects{Keep: e.RequestID != ""}
	answer := RequestAnswer{Created: i == nil}
	state := e.State
	if i == nil {
		i = t.create(&e, parameters, now)
		if state == StateUnspecified {
			state = Started
		}
		answer.Changed = true
	} else if state == StateUnspecified {
		state = i.State
	}
	if requester != nil && requester.State == Stopped {
		state = Stopped // a stopped instance's profile runs on, and must not start what was stopped with it
	}
	answer.InstanceID = i.ID
	p := t.Partitions[i.ID]
	placed := p != nil || i.Host != ""
	moved, elsewhere := i.State != state, !placed && i.Computer != e.Computer || !i.Sla.same(e.Sla)
	answer.Changed = answer.Changed || moved || elsewhere || i.Release != e.Release || i.Type != e.Type || !maps.Equal(i.Parameters, parameters)
	if !i.ByRun && (e.RequesterAllocationID != "" || e.RequesterLocalID != "") {
		i.ByRun = true
		fx.Changed.instance(i.ID)
	}
	if answer.Changed {
		named := i.changes(&e, parameters, elsewhere)
		if p != nil && i.Release != e.Release {
			p.Options = Options{} // told anew by ReleaseReported
		}
		if i.Release != e.Release || i.Type != e.Type || !maps.Equal(i.Parameters, parameters) {
			i.ParameterProblem = "" // whoever requests has them checked before
		}
		i.Release, i.Type, i.Parameters, i.State, i.Sla = e.Release, e.Type, parameters, state, e.Sla
		if !placed {
			i.Computer = e.Computer
		}
		switch {
		case answer.Created:
			t.requested(i)
		case moved:
			t.membershipChanged()
		}
		concerned := []*Instance{i}
		if moved && i.ID == t.RootID {
			concerned = t.follow(i)
		}
		t.auditRequest(&fx, i, answer.Created, moved, named, len(concerned)-1)
		t.changed(&fx, concerned, true, 0, e.Trace, now)
		t.progress(&fx, e.Trace, now) // a stopped member is not waited for any more
	}
	if !placed {
		fx.Place = []string{i.ID}
	}
	answer.Ready, answer.Reason = t.Ready(i)
	fx.Settlement = t.settlement(unsettled)
	return answer, fx, nil
}

// Has tells whether what a request asks for is requested already: the same release, type and parameters.
func (t *Tree) Has(e Request) bool {
	if e.Type == "" {
		e.Type = DefaultType
	}
	i := t.titled(e.RequesterID, e.Title)
	return i != nil && i.Release == e.Release && i.Type == e.Type && maps.Equal(i.Parameters, withoutEmpty(e.Parameters))
}

// auditRequest tells what a request changed.
func (t *Tree) auditRequest(fx *Effects, i *Instance, created, moved bool, named []string, others int) {
	p := t.Partitions[i.ID]
	switch {
	case created:
		fx.audit(AuditEntry{Kind: AuditRequested, Changes: bounded(changedKeys("parameter ", nil, i.Parameters))}, i, p)
		return
	case len(named) > 0:
		fx.audit(AuditEntry{Kind: AuditChanged, Changes: named}, i, p)
	}
	if moved {
		fx.audit(AuditEntry{Kind: auditOf(i.State), Others: others}, i, p)
	}
}

// follow gives the root's state to its descendants, as SetState does, and returns those that it concerns.
func (t *Tree) follow(root *Instance) []*Instance {
	concerned := []*Instance{root}
	for _, i := range t.subtree(root.ID)[1:] {
		if i.State != Destroyed && i.State != root.State {
			i.State = root.State
			concerned = append(concerned, i)
		}
	}
	t.membershipChanged()
	return concerned
}

// requestDestroyed is a request for the state destroyed: the same as SetState, and nothing for what does not exist.
func (t *Tree) requestDestroyed(e *Request, i *Instance, now time.Time) (RequestAnswer, Effects, error) {
	if i == nil {
		return RequestAnswer{}, Effects{}, fail(NotFound, "cannot destroy %q: nothing of that title was requested", e.Title)
	}
	set, fx, err := t.SetState(SetState{RequestID: e.RequestID, InstanceID: i.ID, State: Destroyed, Trace: e.Trace}, now)
	return RequestAnswer{InstanceID: i.ID, Changed: set.Changed, Reason: "being destroyed"}, fx, err
}

func (t *Tree) create(e *Request, parameters map[string]string, now time.Time) *Instance {
	t.LastInstance++
	i := &Instance{
		ID: t.id('i', t.LastInstance), RequesterID: e.RequesterID, Title: e.Title, Release: e.Release, Type: e.Type, Parameters: parameters,
		Computer: e.Computer, Sla: e.Sla, Shared: e.Shared, Retention: e.Retention, RequestedAt: now,
	}
	t.Instances[i.ID] = i
	if e.RequesterID == "" {
		t.RootID, t.Title, t.CreatedAt = i.ID, i.Title, now
	}
	return i
}

// changed gives the instances the next generation, wakes their partitions and tells the feed. desired is false when only their partitions are woken, and
// what is wanted of them did not change.
func (t *Tree) changed(fx *Effects, instances []*Instance, desired bool, delay time.Duration, trace Trace, now time.Time) {
	g := t.next()
	fx.Changed.Header = true
	ids := make([]string, 0, len(instances))
	woken := make([]string, 0, len(instances))
	for _, i := range instances {
		ids = append(ids, i.ID)
		if desired {
			i.Generation = g
		}
		if p := t.Partitions[i.ID]; p != nil {
			t.moved(p, func() { p.Changed = g })
			woken = append(woken, i.ID)
		}
	}
	if desired {
		for _, i := range instances {
			t.tellSides(fx, i, now)
		}
	}
	if desired {
		fx.Changed.Merge(Changed{Instances: ids})
	}
	fx.Changed.Merge(Changed{Partitions: woken})
	fx.Feed = append(fx.Feed, FeedEntry{
		Kind: FeedChanged, TreeID: t.ID, Generation: g, Membership: t.Membership, InstanceIDs: ids, At: now, Trace: trace, Delay: delay,
	})
}

// tellSides tells the host of a shared instance, and those that an instance hosts, of a change: a destroyed one hosts nobody.
func (t *Tree) tellSides(fx *Effects, i *Instance, now time.Time) {
	if i.Host != "" {
		fx.hosting(i.ID, i.Host)
		i.Word.Pending = i.Word.well()
		i.Word.Unserved = unheard
	}
	if len(t.Hosted) == 0 {
		return
	}
	if i.State != Destroyed {
		t.judge(fx, i, now)
		return
	}
	for _, h := range t.HostedBy(i.ID) {
		delete(t.Hosted, h.SharedID)
		fx.Changed.hosted(h.SharedID)
		fx.hosting(h.SharedID, h.HostID)
	}
}

// requester finds who requests, and whether it may.
func (t *Tree) requester(e *Request) (*Instance, error) {
	if t.Gone() {
		return nil, fail(FailedPrecondition, "cannot request %q: tree %s is destroyed", e.Title, t.ID)
	}
	if e.RequesterID == "" {
		if root := t.Instances[t.RootID]; root != nil && root.Title != e.Title {
			return nil, fail(FailedPrecondition, "cannot request %q as a root: the root of tree %s is %q", e.Title, t.ID, root.Title)
		}
		return nil, nil
	}
	r := t.Instances[e.RequesterID]
	switch {
	case r == nil:
		return nil, fail(NotFound, "cannot request %q: there is no instance %s", e.Title, e.RequesterID)
	case r.Shared:
		return nil, fail(FailedPrecondition, "cannot request %q: %q is a shared instance, which requests nothing", e.Title, r.Title)
	case r.State == Destroyed:
		return nil, fail(FailedPrecondition, "cannot request %q: its requester %q is being destroyed", e.Title, r.Title)
	case len(t.chain(r.ID)) >= MaxDepth:
		return nil, fail(FailedPrecondition, "cannot request %q: %q is requested through %d others, the most there may be", e.Title, r.Title, MaxDepth)
	case e.RequesterAllocationID != "" && !t.runs(r, e.RequesterAllocationID, e.RequesterToken):
		return nil, fail(FailedPrecondition, "cannot request %q: %d is not the token of a run in progress of %s", e.Title, e.RequesterToken, e.RequesterAllocationID)
	case e.RequesterLocalID != "" && (t.Partitions[r.ID] == nil || t.Partitions[r.ID].AllocationID != e.RequesterLocalID):
		return nil, fail(FailedPrecondition, "cannot request %q: %s is not the current allocation of %q", e.Title, e.RequesterLocalID, r.Title)
	}
	return r, nil
}

// runs tells whether a run with a token is in progress in an allocation of an instance. The late request of a run that was superseded would set back what a newer one requested.
func (t *Tree) runs(i *Instance, allocationID string, token uint64) bool {
	m := t.view().members[allocationID]
	return m != nil && m.instance == i && m.partition.Run != nil && m.partition.Run.Token == token
}

// titled finds what a requester requested under a title.
func (t *Tree) titled(requester, title string) *Instance {
	if requester == "" {
		if root := t.Instances[t.RootID]; root != nil && root.Title == title {
			return root
		}
		return nil
	}
	for _, id := range t.view().children[requester] {
		if t.Instances[id].Title == title {
			return t.Instances[id]
		}
	}
	return nil
}

// Ready tells whether an instance is allocated and its latest run was a success at or after its last change, else exactly why not.
func (t *Tree) Ready(i *Instance) (bool, string) {
	p := t.Partitions[i.ID]
	switch {
	case i.Shared:
		return i.sharedReady()
	case i.State == Destroyed:
		return false, "being destroyed"
	case p == nil && i.Unallocated != "":
		return false, "not allocated: " + i.Unallocated
	case p == nil:
		return false, "not allocated yet"
	case p.Latest == nil:
		return false, "has not run yet on partition " + p.Name + " of " + p.Computer
	case p.Latest.Result != Success && i.ParameterProblem != "":
		return false, "latest run failed: " + reasonOf(p.Latest) + "; " + i.problem()
	case p.Latest.Result != Success:
		return false, "latest run failed: " + reasonOf(p.Latest)
	case p.Settled.Less(i.Generation):
		return false, "has not run since its last change"
	}
	return true, ""
}

// Rename gives an instance another title.
type Rename struct {
	InstanceID string
	Title      string
	Trace      Trace
}

// RenameAnswer tells what came of it.
type RenameAnswer struct{ Changed bool }

// Rename gives an instance another title; its partition runs, as profiles may use titles. The title of a root is also an entry of the store's index, which
// must be reserved before. Errors: InvalidArgument, NotFound, AlreadyExists, FailedPrecondition (being destroyed).
func (t *Tree) Rename(e Rename, now time.Time) (RenameAnswer, Effects, error) {
	if err := checkTitle("rename an instance to", e.Title); err != nil {
		return RenameAnswer{}, Effects{}, err
	}
	i := t.Instances[e.InstanceID]
	switch {
	case i == nil:
		return RenameAnswer{}, Effects{}, fail(NotFound, "cannot rename %s: there is no such instance", e.InstanceID)
	case i.Title == e.Title:
		return RenameAnswer{}, Effects{}, nil
	case i.State == Destroyed:
		return RenameAnswer{}, Effects{}, fail(FailedPrecondition, "cannot rename %q: it is being destroyed", i.Title)
	case i.RequesterID != "" && t.titled(i.RequesterID, e.Title) != nil:
		return RenameAnswer{}, Effects{}, fail(AlreadyExists, "cannot rename %q to %q: its requester requested another instance of that title", i.Title, e.Title)
	}
	unsettled := t.Unsettled()
	var fx Effects
	was := i.Title
	i.Title = e.Title
	fx.audit(AuditEntry{Kind: AuditRenamed, Reason: "was " + strconv.Quote(was)}, i, t.Partitions[i.ID])
	if i.ID == t.RootID {
		t.Title = e.Title
	}
	t.membershipChanged()
	t.changed(&fx, []*Instance{i}, true, 0, e.Trace, now)
	fx.Settlement = t.settlement(unsettled)
	return RenameAnswer{Changed: true}, fx, nil
}

func (e *Request) check(parameters map[string]string) error {
	if err := checkTitle("request", e.Title); err != nil {
		return err
	}
	switch {
	case e.Release == "":
		return invalid("software_release", "cannot request %q: software_release is empty", e.Title)
	case e.State > Destroyed:
		return invalid("state", "cannot request %q: state %d is unknown", e.Title, e.State)
	case e.Retention < 0 || e.Retention > MaxRetention:
		return invalid("retention_delay", "cannot request %q: retention_delay is %s, want 0 to %s", e.Title, e.Retention, MaxRetention)
	case !e.Sla.valid():
		return invalid("sla", "cannot request %q: sla: at most %d labels of 1 to %d bytes each, and a group of at most %d bytes", e.Title, MaxLabels, MaxLabel, MaxLabel)
	case size(parameters) > MaxParameters:
		return invalid("parameters", "cannot request %q: parameters have %d bytes, more than %d", e.Title, size(parameters), MaxParameters)
	}
	return e.checkShared()
}

func checkTitle(doing, title string) error {
	switch {
	case title == "" || len(title) > MaxTitle:
		return invalid("title", "cannot %s %q: a title has 1 to %d bytes", doing, head(title), MaxTitle)
	case !utf8.ValidString(title):
		return invalid("title", "cannot %s %q: a title is UTF-8", doing, title)
	}
	for _, r := range title {
		if unicode.IsControl(r) {
			return invalid("title", "cannot %s %q: a title has no control characters", doing, title)
		}
	}
	return nil
}

// withoutEmpty is parameters without those of an empty value: the same as no parameter (docs/rules.md). It never is the caller's map.
func withoutEmpty(parameters map[string]string) map[string]string {
	kept := make(map[string]string, len(parameters))
	for k, v := range parameters {
		if v != "" {
			kept[k] = v
		}
	}
	return kept
}

func size(parameters map[string]string) int {
	n := 0
	for k, v := range parameters {
		n += len(k) + len(v)
	}
	return n
}
