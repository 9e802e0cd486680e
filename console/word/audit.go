package word

import (
	"fmt"
	"slices"
	"strings"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

const auditKind = "AUDIT_KIND_"

// AuditKind is the word for what was done: AUDIT_KIND_SOFTWARE_SUPPLIED is software-supplied.
func AuditKind(k masterv1.AuditKind) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(k.String(), auditKind)), "_", "-")
}

// AuditKinds are all of them.
func AuditKinds() (words []string) {
	for n := range masterv1.AuditKind_name {
		if n > 0 {
			words = append(words, AuditKind(masterv1.AuditKind(n)))
		}
	}
	slices.Sort(words)
	return words
}

// ReadAuditKind is the kind of a word.
func ReadAuditKind(word string) (masterv1.AuditKind, error) {
	k := masterv1.AuditKind(masterv1.AuditKind_value[auditKind+strings.ToUpper(strings.ReplaceAll(word, "-", "_"))])
	if k == masterv1.AuditKind_AUDIT_KIND_UNSPECIFIED {
		return k, fmt.Errorf("cannot show entries of kind %q: want %s", word, strings.Join(AuditKinds(), ", "))
	}
	return k, nil
}

// AuditBy is who did it.
func AuditBy(e *masterv1.AuditEntry) string {
	switch {
	case e.GetActor() == masterv1.AuditActor_AUDIT_ACTOR_SYSTEM:
		return strings.TrimSuffix("svc-master: "+e.GetBy(), ": ")
	case e.GetActor() == masterv1.AuditActor_AUDIT_ACTOR_INSTANCE:
		return "run of " + e.GetBy()
	case e.GetBy() == "":
		return "somebody at " + e.GetAddress()
	}
	return e.GetBy()
}

// AuditDetails is what came of it, what changed and why, as far as an entry says so.
func AuditDetails(e *masterv1.AuditEntry) string {
	parts := []string{e.GetBangId(), e.GetOutcome()}
	if e.GetFolded() > 1 {
		parts = append(parts, fmt.Sprintf("%d of them", e.GetFolded()))
	}
	parts = append(parts, strings.Join(e.GetChanges(), ", "))
	if e.GetOthers() > 0 {
		parts = append(parts, fmt.Sprintf("and %d others", e.GetOthers()))
	}
	switch e.GetKind() {
	case masterv1.AuditKind_AUDIT_KIND_REQUESTED, masterv1.AuditKind_AUDIT_KIND_SOFTWARE_SUPPLIED, masterv1.AuditKind_AUDIT_KIND_SOFTWARE_REMOVED:
		parts = append(parts, e.GetSoftwareRelease())
	}
	parts = append(parts, e.GetReason())
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}
