package app

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"golang.org/x/net/html"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
	"github.com/vow-os/vow/kit/rpc"
)

// CallNode is a node with one process.
func (f *fleet) CallNode(_ context.Context, r *masterv1.CallNodeRequest) (*masterv1.CallNodeResponse, error) {
	if f.cut || r.GetComputer() != "laptop" || r.GetMethod() != nodev1connect.NodeServiceListProcessesProcedure {
		return nil, rpc.Errorf(rpc.CodeUnavailable, "cannot call %s of %s", r.GetMethod(), r.GetComputer())
	}
	answer, err := proto.Marshal(&nodev1.ListProcessesResponse{Processes: []*nodev1.Process{
		{Name: "web server", State: "running", Pid: 4711, Since: timestamppb.Now(), Restarts: 3, LastExit: hostile, MemoryBytes: 5 << 20, Watched: true},
	}})
	return &masterv1.CallNodeResponse{Response: answer}, err
}

// StreamNode has the log of that process.
func (f *fleet) StreamNode(_ context.Context, r *masterv1.StreamNodeRequest, stream *connect.ServerStream[masterv1.StreamNodeResponse]) error {
	var asked nodev1.LogsRequest
	if err := proto.Unmarshal(r.GetRequest(), &asked); err != nil {
		return err
	}
	if asked.GetProcess() != "web server" || asked.GetPartition() != "slappart2" || asked.GetFollow() {
		return rpc.Errorf(rpc.CodeNotFound, "cannot find process %q", asked.GetProcess())
	}
	for _, part := range []string{"GET / 200\n", hostile, "\xff\n"} {
		answer, err := proto.Marshal(&nodev1.LogsResponse{Output: []byte(part)})
		if err == nil {
			err = stream.Send(&masterv1.StreamNodeResponse{Response: answer})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ListAudit has two pages.
func (f *fleet) ListAudit(_ context.Context, r *masterv1.ListAuditRequest) (*masterv1.ListAuditResponse, error) {
	e := &masterv1.AuditEntry{
		At: timestamppb.Now(), Kind: masterv1.AuditKind_AUDIT_KIND_BANGED, By: "ada", TreeId: hello, Title: hostile, BangId: hello + ".b1", Folded: 3, Reason: hostile, Computer: r.GetComputer(),
	}
	if r.GetBy() != "" && r.GetBy() != "ada" {
		return &masterv1.ListAuditResponse{}, nil
	}
	if r.GetPageToken() == "1-1@x" {
		e.By, e.Actor = "eviction", masterv1.AuditActor_AUDIT_ACTOR_SYSTEM
		return &masterv1.ListAuditResponse{Entries: []*masterv1.AuditEntry{e}}, nil
	}
	return &masterv1.ListAuditResponse{Entries: []*masterv1.AuditEntry{e}, NextPageToken: "1-1@x"}, nil
}

// The processes of a partition and their logs are those that its node tells; a node that does not answer is named, and the pages are there all the same.
func TestAPartitionShowsItsProcessesAndTheirLogs(t *testing.T) {
	f := &fleet{}
	b := open(t, f, Config{})
	instance := "/instances/" + hello + ".i2"
	if link(b.get(instance, http.StatusOK), "/processes") != instance+"/processes" {
		t.Error("the page of the instance does not lead to its processes")
	}
	page := b.get(instance+"/processes", http.StatusOK)
	for _, want := range []string{"web server", "running", "4711", "5 MiB", "watched"} {
		if !strings.Contains(text(page), want) {
			t.Errorf("%q is not in %s", want, text(page))
		}
	}
	to := link(page, "/logs/")
	if to != instance+"/logs/web%20server" {
		t.Fatalf("the log is at %q", to)
	}
	if got := text(b.get(to, http.StatusOK)); !strings.Contains(got, "GET / 200 <script>alert(1)</script>") || !strings.Contains(got, "\uFFFD") {
		t.Errorf("the log is %s", got)
	}
	b.get(instance+"/logs/none", http.StatusNotFound)
	b.get(to+"?bytes=many", http.StatusBadRequest)
	b.get(to+"?bytes=100000000", http.StatusBadRequest)
	f.cut = true
	if got := text(b.get(instance+"/processes", http.StatusOK)); !strings.Contains(got, "Not known: the processes: the node of laptop did not answer") {
		t.Errorf("a node that does not answer: %s", got)
	}
}

// link is the first one on a page that has a part.
func link(page *html.Node, part string) string {
	for n := range page.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" && strings.Contains(attribute(n, "href"), part) {
			return attribute(n, "href")
		}
	}
	return ""
}

// The audit says who did what, page by page, of what was asked for.
func TestTheAuditIsShownByPageAndByWhatWasAskedFor(t *testing.T) {
	b := open(t, &fleet{}, Config{})
	page := b.get("/audit?computer=laptop&kind=banged&within=24h", http.StatusOK)
	for _, want := range []string{"ada", "banged", "3 of them", "laptop"} {
		if !strings.Contains(text(page), want) {
			t.Errorf("%q is not in %s", want, text(page))
		}
	}
	older := link(page, "after=")
	if !strings.Contains(older, "computer=laptop") || !strings.Contains(older, "within=24h") {
		t.Errorf("the next page is %q", older)
	}
	if got := text(b.get(older, http.StatusOK)); !strings.Contains(got, "svc-master: eviction") || strings.Contains(got, "older") {
		t.Errorf("the older page is %s", got)
	}
	if got := text(b.get("/audit?by=bob", http.StatusOK)); !strings.Contains(got, "None.") {
		t.Errorf("what bob did: %s", got)
	}
	b.get("/audit?kind=bnaged", http.StatusBadRequest)
	b.get("/audit?within=soon", http.StatusBadRequest)
}
