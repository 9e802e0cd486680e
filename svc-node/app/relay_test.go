package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/gen/vow/node/v1/nodev1connect"
)

// call sends the node a call through its Link.
func (n *node) call(call *masterv1.NodeCall) {
	n.calls <- &masterv1.LinkResponse{Message: &masterv1.LinkResponse_Call{Call: call}}
}

// answered is what the node has answered by now.
func (n *node) answered() (all []*masterv1.NodeAnswer) {
	synctest.Wait()
	for {
		select {
		case a := <-n.answers:
			all = append(all, a)
		default:
			return all
		}
	}
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// output puts the output of a process together again.
func output(t *testing.T, answers []*masterv1.NodeAnswer) (all []byte) {
	t.Helper()
	for _, a := range answers {
		m := new(nodev1.LogsResponse)
		if err := proto.Unmarshal(a.GetResponse(), m); err != nil || !a.GetMore() {
			t.Fatalf("an answer of the log is %v: %v", a, err)
		}
		all = append(all, m.GetOutput()...)
	}
	return all
}

// A log that is followed through the Link waits for its reader: no more than the window is on its way, nothing is lost or said twice, and a cancel ends it.
func TestALogThroughTheLinkWaitsForItsReader(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		log := filepath.Join(n.dir, "instance", "slappart0", ".slapgrid", "log", "web.log")
		content := bytes.Repeat([]byte("0123456789abcdef"), 25<<10) // 400 KiB
		if err := os.MkdirAll(filepath.Dir(log), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(log, content, 0o600); err != nil {
			t.Fatal(err)
		}
		request := &nodev1.LogsRequest{Partition: "slappart0", Process: "web", TailBytes: 1 << 20, Follow: true}
		const window = 100 << 10
		n.call(&masterv1.NodeCall{Call: 7, Method: nodev1connect.NodeServiceLogsProcedure, Request: encoded(t, request), Window: window})
		got := output(t, n.answered())
		if len(got) < window || len(got) > 2*window {
			t.Fatalf("%d bytes came at first, with a window of %d", len(got), window)
		}
		time.Sleep(time.Minute) // virtual: nobody reads
		if more := n.answered(); len(more) != 0 {
			t.Fatalf("beyond the window %d answers came", len(more))
		}
		for range 10 {
			n.calls <- &masterv1.LinkResponse{Message: &masterv1.LinkResponse_Grant{Grant: &masterv1.NodeGrant{Call: 7, Bytes: 64 << 10}}}
			got = append(got, output(t, n.answered())...)
		}
		if !bytes.Equal(got, content) {
			t.Fatalf("%d bytes came, want the %d that were written", len(got), len(content))
		}
		n.calls <- &masterv1.LinkResponse{Message: &masterv1.LinkResponse_Cancel{Cancel: &masterv1.NodeCancel{Call: 7}}}
		time.Sleep(time.Second) // virtual
		if end := n.answered(); len(end) != 1 || end[0].GetMore() || end[0].GetErrorCode() == "" {
			t.Fatalf("after a cancel came %v", end)
		}
	})
}

// What comes through the Link is checked as on the socket, answered by the same handlers, and bounded.
func TestCallsThroughTheLinkAreCheckedAndBounded(t *testing.T) {
	story(t, func(t *testing.T, n *node) {
		n.settled()
		for _, c := range []struct {
			method  string
			request proto.Message
			code    string
		}{
			{nodev1connect.NodeServicePlanProcedure, &nodev1.PlanRequest{}, "invalid_argument"},
			{nodev1connect.NodeServiceLogsProcedure, &nodev1.LogsRequest{Partition: "slappart0", Process: "web", TailBytes: 1 << 30}, "invalid_argument"},
			{nodev1connect.NodeServiceLogsProcedure, &nodev1.LogsRequest{Partition: "slappart0", Process: "no such"}, "not_found"},
			{"/vow.node.v1.NodeService/Shutdown", &nodev1.PlanRequest{}, "unimplemented"},
		} {
			n.call(&masterv1.NodeCall{Call: 1, Method: c.method, Request: encoded(t, c.request), Window: 1})
			if a := n.answered(); len(a) != 1 || a[0].GetErrorCode() != c.code || a[0].GetError() == "" {
				t.Errorf("%s is answered %v, want %s", c.method, a, c.code)
			}
		}
		// A call that nobody cancels ends with its time; beyond the bound more are refused.
		follow := encoded(t, &nodev1.LogsRequest{Partition: "slappart0", Process: "web", Follow: true})
		for id := range uint64(17) {
			n.call(&masterv1.NodeCall{Call: 100 + id, Method: nodev1connect.NodeServiceLogsProcedure, Request: follow, Window: 1 << 18, Timeout: durationpb.New(time.Minute)})
		}
		if a := n.answered(); len(a) != 1 || a[0].GetErrorCode() != "resource_exhausted" || !strings.Contains(a[0].GetError(), "too many") {
			t.Errorf("of 17 calls were answered %v", a)
		}
		time.Sleep(2 * time.Minute) // virtual
		if a := n.answered(); len(a) != 16 || a[0].GetErrorCode() != "deadline_exceeded" {
			t.Errorf("after their time were answered %v", a)
		}
	})
}
