package word_test

import (
	"testing"

	"github.com/vow-os/vow/console/word"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

func TestAnAuditKindIsTypedAsItIsRead(t *testing.T) {
	words := word.AuditKinds()
	if len(words) != len(masterv1.AuditKind_name)-1 {
		t.Fatalf("%d words for %d kinds", len(words), len(masterv1.AuditKind_name)-1)
	}
	for _, w := range words {
		if k, err := word.ReadAuditKind(w); err != nil || word.AuditKind(k) != w {
			t.Errorf("%s is read as %s: %v", w, k, err)
		}
	}
	for _, wrong := range []string{"", "unspecified", "eaten", "software supplied"} {
		if k, err := word.ReadAuditKind(wrong); err == nil {
			t.Errorf("%q is read as %s", wrong, k)
		}
	}
}

func TestAnEntryOfTheAuditSaysWhoAndWhat(t *testing.T) {
	for _, c := range []struct {
		entry       *masterv1.AuditEntry
		by, details string
	}{
		{&masterv1.AuditEntry{By: "eve", Kind: masterv1.AuditKind_AUDIT_KIND_REQUESTED, Changes: []string{"release", "parameter greeting"}, SoftwareRelease: "https://r", Reason: "new", Others: 3}, "eve", "release, parameter greeting; and 3 others; https://r; new"},
		{&masterv1.AuditEntry{Address: "10.0.0.7:1", BangId: "t.b1", Outcome: "joined", Folded: 4}, "somebody at 10.0.0.7:1", "t.b1; joined; 4 of them"},
		{&masterv1.AuditEntry{Actor: masterv1.AuditActor_AUDIT_ACTOR_SYSTEM, By: "placement", Folded: 1}, "svc-master: placement", ""},
		{&masterv1.AuditEntry{Actor: masterv1.AuditActor_AUDIT_ACTOR_SYSTEM}, "svc-master", ""},
		{&masterv1.AuditEntry{Actor: masterv1.AuditActor_AUDIT_ACTOR_INSTANCE, By: "t.i2"}, "run of t.i2", ""},
	} {
		if by, details := word.AuditBy(c.entry), word.AuditDetails(c.entry); by != c.by || details != c.details {
			t.Errorf("%v: by %q, details %q", c.entry, by, details)
		}
	}
}

func TestAVerdictSaysTestAnomalyAndMute(t *testing.T) {
	for want, v := range map[string]*typev1.Verdict{
		"passed": nil, "passed, muted": {Mute: &typev1.Mute{}}, "failed": {TestFailed: true}, "anomaly": {Anomaly: true}, "failed, anomaly, muted": {TestFailed: true, Anomaly: true, Mute: &typev1.Mute{}},
	} {
		if got := word.Verdict(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}
