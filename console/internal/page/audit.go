package page

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/console/word"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// auditRow is an entry of the audit with its words.
type auditRow struct {
	*masterv1.AuditEntry
	Who, What, Details string
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
		Tree: query.Get("tree"), Computer: query.Get("computer"), By: query.Get("by"), Kind: query.Get("kind"), Within: query.Get("within"), Kinds: word.AuditKinds(), First: query.Get("after") == "",
	}
	request := &masterv1.ListAuditRequest{TreeId: page.Tree, Computer: page.Computer, By: page.By, PageSize: pageSize, PageToken: query.Get("after")}
	if page.Kind != "" {
		kind, err := word.ReadAuditKind(page.Kind)
		if err != nil {
			return view{}, rpc.Errorf(rpc.CodeInvalidArgument, "%w", err)
		}
		request.Kinds = []masterv1.AuditKind{kind}
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
		page.Rows = append(page.Rows, auditRow{e, word.AuditBy(e), word.AuditKind(e.GetKind()), word.AuditDetails(e)})
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
