package page

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
)

// auditRow is an entry of the audit with its words.
type auditRow struct {
	*masterv1.AuditEntry
	Who, Details string
}

// auditPage is who requested, banged and changed what, newest first.
func (s *Site) auditPage(ctx context.Context, r *http.Request, now time.Time) (view, error) {
	query := r.URL.Query()
	page := struct {
		Tree, Computer, By, Kind, Within string
		Kinds                            []string
		Rows                             []auditRow
		Older                            string
		First                            bool
	}{
		Tree: query.Get("tree"), Computer: query.Get("computer"), By: query.Get("by"), Kind: query.Get("kind"), Within: query.Get("within"), Kinds: auditKinds(), First: query.Get("after") == "",
	}
	request := &masterv1.ListAuditRequest{TreeId: page.Tree, Computer: page.Computer, By: page.By, PageSize: pageSize, PageToken: query.Get("after")}
	if page.Kind != "" {
		kind, known := masterv1.AuditKind_value["AUDIT_KIND_"+strings.ToUpper(strings.ReplaceAll(page.Kind, " ", "_"))]
		if !known {
			return view{}, rpc.Errorf(rpc.CodeInvalidArgument, "cannot show entries of kind %q: want %s", page.Kind, strings.Join(page.Kinds, ", "))
		}
		request.Kinds = []masterv1.AuditKind{masterv1.AuditKind(kind)}
	}
	if page.Within != "" {
		within, err := time.ParseDuration(page.Within)
		if err != nil || within <= 0 {
			return view{}, rpc.Errorf(rpc.CodeInvalidArgument, "cannot show what happened within %q: want a duration, as 24h", page.Within)
		}
		request.Since = timestamppb.New(now.Add(-within))
	}
	answer, err := s.Fleet.Audit.ListAudit(ctx, request)
	if err != nil {
		return view{}, err
	}
	for _, e := range answer.GetEntries() {
		page.Rows = append(page.Rows, auditRow{e, auditWho(e), auditDetails(e)})
	}
	if token := answer.GetNextPageToken(); token != "" {
		older := url.Values{"after": {token}}
		for _, key := range []string{"tree", "computer", "by", "kind", "within"} {
			if value := query.Get(key); value != "" {
				older.Set(key, value)
			}
		}
		page.Older = "/audit?" + older.Encode()
	}
	// It is not live: a form that somebody fills in stays as it is.
	return view{Title: "Audit", Section: "audit", Name: "audit", Page: page}, nil
}

// auditKinds are the kinds as people say them.
func auditKinds() (kinds []string) {
	for n := range masterv1.AuditKind_name {
		if n > 0 {
			kinds = append(kinds, human.Word(masterv1.AuditKind(n), "AUDIT_KIND_"))
		}
	}
	slices.Sort(kinds)
	return kinds
}

// auditWho is who did it.
func auditWho(e *masterv1.AuditEntry) string {
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

// auditDetails is what the columns do not say.
func auditDetails(e *masterv1.AuditEntry) string {
	parts := []string{e.GetBangId(), strings.ToLower(e.GetOutcome()), strings.Join(e.GetChanges(), ", "), e.GetReason()}
	switch e.GetKind() {
	case masterv1.AuditKind_AUDIT_KIND_REQUESTED, masterv1.AuditKind_AUDIT_KIND_SOFTWARE_SUPPLIED, masterv1.AuditKind_AUDIT_KIND_SOFTWARE_REMOVED:
		parts = append(parts, e.GetSoftwareRelease())
	}
	if e.GetFolded() > 1 {
		parts = append(parts, fmt.Sprintf("%d of them", e.GetFolded()))
	}
	if e.GetOthers() > 0 {
		parts = append(parts, fmt.Sprintf("and %d others", e.GetOthers()))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}
