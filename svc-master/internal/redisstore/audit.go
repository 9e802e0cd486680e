package redisstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/fleet"
)

// Actor is who changes something (docs/audit.md).
type Actor struct {
	// Kind of somebody; unspecified = svc-master.
	Kind masterv1.AuditActor
	// Name of the caller as it said of itself, id of the instance (empty = the one that the entry is about), or what of svc-master.
	Name string
	// Address that the caller called from.
	Address string
	// TraceID of the call.
	TraceID string
}

// System is svc-master itself.
func System(what string) Actor {
	return Actor{Kind: masterv1.AuditActor_AUDIT_ACTOR_SYSTEM, Name: what}
}

// ActFailed is the outcome of an act of another service that was written down and then not done.
const ActFailed = "failed"

// maxActor bounds what a caller says of itself, in bytes.
const maxActor = 255

func (a Actor) stamp(e *masterv1.AuditEntry) {
	if a.Kind == masterv1.AuditActor_AUDIT_ACTOR_UNSPECIFIED {
		a.Kind = masterv1.AuditActor_AUDIT_ACTOR_SYSTEM
	}
	name := strings.ToValidUTF8(a.Name[:min(len(a.Name), maxActor)], "")
	e.Actor, e.By, e.Address, e.TraceId = a.Kind, name, a.Address, a.TraceID
}

// auditing gathers the entries of one commit.
type auditing []*masterv1.AuditEntry

// add takes the entries of one event of a tree, in order. Bangs that one caller sent in one batch, and that were decided the same, are one entry.
func (w *auditing) add(by Actor, t *fleet.Tree, entries []fleet.AuditEntry) {
	for i := range entries {
		e := auditEntry(t, &entries[i])
		who := by
		if system := entries[i].System; system != "" {
			who = System(system)
			who.TraceID = by.TraceID
		}
		if who.Kind == masterv1.AuditActor_AUDIT_ACTOR_INSTANCE && who.Name == "" {
			who.Name = e.GetInstanceId()
		}
		who.stamp(e)
		if !w.fold(e) {
			*w = append(*w, e)
		}
	}
}

func (w *auditing) fold(e *masterv1.AuditEntry) bool {
	if e.GetKind() != masterv1.AuditKind_AUDIT_KIND_BANGED || len(*w) == 0 {
		return false
	}
	last := (*w)[len(*w)-1]
	if last.GetKind() != e.GetKind() || last.GetActor() != e.GetActor() || last.GetBy() != e.GetBy() || last.GetInstanceId() != e.GetInstanceId() || last.GetOutcome() != e.GetOutcome() {
		return false
	}
	last.Folded = max(last.GetFolded(), 1) + 1
	last.BangId, last.Reason, last.TraceId, last.Address = e.GetBangId(), e.GetReason(), e.GetTraceId(), e.GetAddress()
	return true
}

// computer takes an entry about a computer.
func (w *auditing) computer(by Actor, name string, e *masterv1.AuditEntry) {
	e.Computer = name
	by.stamp(e)
	*w = append(*w, e)
}

func (w auditing) encode() ([]any, error) {
	out := make([]any, 0, len(w))
	for _, e := range w {
		b, err := encode(&storev1.AuditRecord{Entry: e})
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (w *writes) encodeAudit(*fleet.Tree) (err error) {
	w.audited, err = w.audit.encode()
	return err
}

func auditEntry(t *fleet.Tree, e *fleet.AuditEntry) *masterv1.AuditEntry {
	out := &masterv1.AuditEntry{
		Kind: masterv1.AuditKind(e.Kind), Account: t.Account, TreeId: t.ID, InstanceId: e.InstanceID, Title: e.Title, Computer: e.Computer, Partition: e.Partition,
		AllocationId: e.AllocationID, Changes: e.Changes, SoftwareRelease: telemetry.Redacted(e.Release), Others: uint32(max(e.Others, 0)), Reason: e.Reason, BangId: e.BangID,
	}
	switch {
	case e.Failed:
		out.Outcome = ActFailed
	case e.Outcome != fleet.OutcomeUnspecified:
		out.Outcome = e.Outcome.String()
	}
	return out
}

// Differing names the keys whose values differ, sorted, as many as an entry names.
func Differing[V any](prefix string, before, after map[string]V, same func(a, b V) bool) []string {
	var names []string
	for k, v := range after {
		if old, known := before[k]; !known || !same(old, v) {
			names = append(names, prefix+k)
		}
	}
	for k := range before {
		if _, kept := after[k]; !kept {
			names = append(names, prefix+k)
		}
	}
	slices.SortFunc(names, naturally)
	if more := len(names) - fleet.MaxAuditChanges; more > 0 {
		names = append(slices.Clip(names[:fleet.MaxAuditChanges]), fmt.Sprintf("and %d more", more))
	}
	return names
}

// auditSince is the least id that is kept in a stream of audit entries.
func (l Limits) auditSince() string {
	return strconv.FormatInt(time.Now().Add(-l.AuditAge).UnixMilli(), 10)
}
