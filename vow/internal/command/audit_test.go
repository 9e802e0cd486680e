package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// ListAudit has two pages of one entry, and says back what was asked for in the title.
func (*fake) ListAudit(_ context.Context, r *masterv1.ListAuditRequest) (*masterv1.ListAuditResponse, error) {
	entry := &masterv1.AuditEntry{
		AuditId: "2-0@{s00}audit", At: timestamppb.New(time.UnixMilli(2)), Kind: masterv1.AuditKind_AUDIT_KIND_EVICTED, Actor: masterv1.AuditActor_AUDIT_ACTOR_SYSTEM, By: "eviction",
		TreeId: r.GetTreeId(), InstanceId: r.GetTreeId() + ".i1", Title: "hello", Computer: "laptop", Partition: "slappart0", Reason: "by " + r.GetBy(),
	}
	if r.GetPageToken() == "" {
		return &masterv1.ListAuditResponse{Entries: []*masterv1.AuditEntry{entry}, NextPageToken: entry.GetAuditId()}, nil
	}
	entry.AuditId, entry.Kind, entry.Actor, entry.By = "1-0@{s00}audit", masterv1.AuditKind_AUDIT_KIND_CHANGED, masterv1.AuditActor_AUDIT_ACTOR_CALLER, "ann"
	entry.Changes, entry.Reason, entry.At = []string{"release", "parameter port"}, "", timestamppb.New(time.UnixMilli(1))
	return &masterv1.ListAuditResponse{Entries: []*masterv1.AuditEntry{entry}}, nil
}

// The audit is told oldest first, whatever the pages, and what is asked for is passed on.
func TestTheAuditIsToldOldestFirst(t *testing.T) {
	serve(t)
	code, out, errOut := run(t, "audit", "--tree", "hello", "--by", "eve", "--kind", "evicted,computer-drained", "--since", "7d")
	lines := strings.Split(out, "\n")
	if code != exitOK || len(lines) != 4 || !strings.Contains(lines[1], "ann") || !strings.Contains(lines[1], "release, parameter port") ||
		!strings.Contains(lines[2], "svc-master: eviction") || !strings.Contains(lines[2], "laptop/slappart0") || !strings.Contains(lines[2], "by eve") {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	if code, out, _ := run(t, "audit", "--limit", "1", "-o", "json"); code != exitOK || strings.Contains(out, "release") || !strings.Contains(out, `"audit_id": "2-0@{s00}audit"`) {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, wrong := range [][]string{{"--kind", "eaten"}, {"--since", "soon"}, {"--limit", "0"}, {"-f", "--until", "1h"}} {
		if code, _, errOut := run(t, append([]string{"audit"}, wrong...)...); code != exitUsage || !strings.Contains(errOut, "cannot") {
			t.Errorf("%v: exit %d: %s", wrong, code, errOut)
		}
	}
}

// --follow goes on with what is new, and tells nothing twice.
func TestTheAuditIsFollowed(t *testing.T) {
	serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // one of its pauses, and a half
	defer cancel()
	var out, errOut strings.Builder
	if code := Run(ctx, []string{"audit", "-f"}, &out, &errOut); code != exitOK || strings.Count(out.String(), "ann") != 1 {
		t.Fatalf("exit %d: %s%s", code, out.String(), errOut.String())
	}
}
