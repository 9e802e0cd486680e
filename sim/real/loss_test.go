package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

const (
	// bangCount and bangEvery make a loop of 30 s, during which each kill finds bangs on every part of their way.
	bangCount = 100
	bangEvery = 300 * time.Millisecond
	// killEvery is how often something is killed; four things take turns, so that none is killed oftener than every 12 s.
	killEvery = 3 * time.Second
)

// TestNoAcknowledgedBangIsLostWhenServicesAreKilled bangs a tree a hundred times while svc-master, svc-scheduler, svc-promise and the agent are killed with -9 in turn; every bang that was acknowledged is satisfied in the end.
func TestNoAcknowledgedBangIsLostWhenServicesAreKilled(t *testing.T) {
	s := begin(t)
	tree := s.sample()

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	killed := make(chan []killing, 1)
	stop := make(chan struct{})
	go func() { killed <- s.killInTurn(killEvery, stop) }()

	acknowledged := map[string]bool{}
	tick := time.NewTicker(bangEvery)
	defer tick.Stop()
	for i := range bangCount {
		<-tick.C
		request := &masterv1.BangRequest{
			RequestId: fmt.Sprintf("loss-%d", i), Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "test",
			Target: &masterv1.BangRequest_TreeId{TreeId: tree.GetTreeId()},
		}
		// Until it is acknowledged it is sent again with the same id; svc-master may be down for a moment.
		for {
			response, err := s.bangs.Bang(ctx, request)
			if err == nil {
				acknowledged[response.GetResults()[0].GetBangId()] = true
				break
			}
			if !rpc.IsRetryable(err) || ctx.Err() != nil {
				t.Fatalf("bang %d: %v", i, err)
			}
			<-tick.C
		}
	}
	close(stop)
	if all := <-killed; len(all) < 8 {
		t.Errorf("only %v were killed: the test says nothing", all)
	} else {
		t.Logf("killed %v", all)
	}
	if len(acknowledged) != bangCount {
		t.Errorf("%d different bangs were acknowledged, want %d: a repeated request got another bang", len(acknowledged), bangCount)
	}
	var missing []string
	await(t, "every acknowledged bang is satisfied", func() bool {
		missing = missing[:0]
		response, err := s.bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree.GetTreeId(), PageSize: 1000})
		if err != nil {
			return false
		}
		satisfied := map[string]bool{}
		for _, b := range response.GetBangs() {
			satisfied[b.GetBangId()] = b.GetSatisfiedAt() != nil
		}
		for id := range acknowledged {
			if !satisfied[id] {
				missing = append(missing, id)
			}
		}
		return len(missing) == 0
	})
	s.green(tree.GetTreeId())
}

// killing is the end of a service.
type killing struct {
	service string
	at      time.Time
}

func (k killing) String() string { return k.service }

// killInTurn kills one thing after the other until stop is closed, and starts it again at once; the agent is started by its supervisor.
func (s *suite) killInTurn(every time.Duration, stop <-chan struct{}) []killing {
	var all []killing
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return all
		case <-tick.C:
		}
		if i%4 == 3 {
			at := time.Now()
			if s.killAgent() {
				all = append(all, killing{"svc-node", at})
			}
			continue
		}
		p := []*process{s.master, s.scheduler, s.promise}[i%4]
		all = append(all, killing{p.name, time.Now()})
		p.restart9()
	}
}

// restart9 kills a process with -9 and starts it again.
func (p *process) restart9() {
	p.kill9()
	p.start()
}

// killAgent kills the agent beneath the supervisor.
func (s *suite) killAgent() bool { return s.signalAgent(syscall.SIGKILL) }

// signalAgent sends a signal to the agent beneath the supervisor.
func (s *suite) signalAgent(signal syscall.Signal) bool {
	parent := s.supervisor.command.Process.Pid
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", parent)) {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && strings.HasPrefix(string(command), executable(s.t, "svc-node")) {
			return syscall.Kill(pid, signal) == nil
		}
	}
	return false
}

// sample supplies examples/hello, requests it and waits until it is Green.
func (s *suite) sample() *masterv1.Tree {
	s.t.Helper()
	release, err := filepath.Abs(filepath.Join("..", "..", "examples", "hello"))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.request("file://"+release, "hello")
}

// request supplies a release, requests it and waits until it is Green.
func (s *suite) request(url, title string) *masterv1.Tree {
	s.t.Helper()
	ctx := s.t.Context()
	await(s.t, "the node has registered its computer", func() bool {
		_, err := s.software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: "laptop"})
		return err == nil
	})
	response, err := s.instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: title, SoftwareRelease: url})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.green(response.GetInstance().GetTreeId())
}

// green waits until a tree is Green.
func (s *suite) green(id string) *masterv1.Tree {
	s.t.Helper()
	var tree *masterv1.Tree
	defer func() {
		if s.t.Failed() {
			s.t.Logf("tree: %v", tree)
		}
	}()
	await(s.t, "the tree is Green", func() bool {
		response, err := s.trees.GetTree(s.t.Context(), &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: id}})
		if err != nil {
			return false
		}
		tree = response.GetTree()
		return tree.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN
	})
	return tree
}
