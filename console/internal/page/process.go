package page

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/console/ask"
	"github.com/vow-os/vow/console/internal/live"
	"github.com/vow-os/vow/console/relay"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/kit/rpc"
)

const (
	// logTail is how much of the end of a log a page shows, and mostLog how much it may be asked for, in bytes.
	logTail = 32 << 10
	mostLog = 512 << 10
)

// onNode is an instance in its tree, with the node that has its partition.
type onNode struct {
	*masterv1.Instance
	Tree *masterv1.Tree
	node relay.Node
}

// onNode finds an instance that is in a partition.
func (s *Site) onNode(ctx context.Context, id string) (onNode, error) {
	tree, err := ask.GetTree(ctx, s.Fleet.Services, id)
	if err != nil {
		return onNode{}, err
	}
	at := slices.IndexFunc(tree.GetInstances(), func(i *masterv1.Instance) bool { return i.GetInstanceId() == id || i.GetAllocationId() == id })
	if at < 0 {
		return onNode{}, notFound("cannot find instance %q in tree %s", id, tree.GetTitle())
	}
	i := tree.GetInstances()[at]
	if i.GetPartition() == "" {
		return onNode{}, rpc.Errorf(rpc.CodeFailedPrecondition, "cannot look into %s: it is in no partition: %s", i.GetTitle(), i.GetUnallocatedReason())
	}
	return onNode{i, tree, relay.To(s.Fleet.Links, i.GetComputer())}, nil
}

func (i onNode) view(title, name string, page any) view {
	return view{Title: i.Tree.GetTitle() + " / " + i.GetTitle() + ": " + title, Section: "trees", Name: name, Topic: live.Fleet, About: i.Tree.GetTreeId(), Page: page}
}

// processesPage is the processes of an instance's partition, as its node tells them over its link.
func (s *Site) processesPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	i, err := s.onNode(ctx, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	page := struct {
		onNode
		Processes []*nodev1.Process
		Answered  bool
	}{onNode: i}
	answer, err := i.node.ListProcesses(ctx, &nodev1.ListProcessesRequest{Partition: i.GetPartition()})
	page.Processes, page.Answered = answer.GetProcesses(), err == nil
	v := i.view("processes", "processes", page)
	v.Unknown = unknown(v.Unknown, "the processes", "the node of "+i.GetComputer(), err)
	return v, nil
}

// logPage is the end of what a process wrote.
func (s *Site) logPage(ctx context.Context, r *http.Request, _ time.Time) (view, error) {
	i, err := s.onNode(ctx, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	bytes := logTail
	if asked := r.URL.Query().Get("bytes"); asked != "" {
		if bytes, err = strconv.Atoi(asked); err != nil || bytes < 1 || bytes > mostLog {
			return view{}, rpc.Errorf(rpc.CodeInvalidArgument, "cannot show %q bytes of a log: want 1 to %d", asked, mostLog)
		}
	}
	page := struct {
		onNode
		Process, Text  string
		Bytes, More    int
		Answered, Full bool
	}{onNode: i, Process: r.PathValue("process"), Bytes: bytes, More: min(8*bytes, mostLog)}
	var text strings.Builder
	err = i.node.Logs(ctx, &nodev1.LogsRequest{Partition: i.GetPartition(), Process: page.Process, TailBytes: uint32(bytes)}, func(m *nodev1.LogsResponse) error {
		if room := mostLog - text.Len(); room > 0 {
			text.Write(m.GetOutput()[:min(room, len(m.GetOutput()))])
		}
		return nil
	})
	if rpc.IsNotFound(err) {
		return view{}, err
	}
	page.Full = text.Len() >= bytes && bytes < mostLog
	page.Text, page.Answered = strings.ToValidUTF8(text.String(), "\uFFFD"), err == nil
	v := i.view("log of "+page.Process, "log", page)
	v.Unknown = unknown(v.Unknown, "the log", "the node of "+i.GetComputer(), err)
	return v, nil
}
