package real

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-node/app/supervisor"
)

const (
	// rollingBangEvery is a load under which each replacement finds bangs on every part of their way.
	rollingBangEvery = 100 * time.Millisecond
	// grace is what an orchestrator gives a process between SIGTERM and SIGKILL (tilt/k8s: 30 s, 5 of them before SIGTERM).
	grace = 25 * time.Second
)

// TestARollingUpdateLosesNoBang replaces every process as Kubernetes does, while a tree is banged through what stands for the Service: new connections go elsewhere, SIGTERM, the end within the grace, the successor, ready, and on to the next.
func TestARollingUpdateLosesNoBang(t *testing.T) {
	r := beginReplicas(t)
	tree := r.sample()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	client, err := rpc.NewClient(rpc.Target{Address: r.toMasters.address()}, rpc.ClientSettings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	bangs := masterv1connect.NewBangServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)

	stop, told := make(chan struct{}), make(chan []string, 1)
	go func() { told <- bangUntil(ctx, t, bangs, tree.GetTreeId(), stop) }()

	for n, p := range r.masters {
		r.toMasters.prefer(1 - n)
		p.replace()
	}
	for n, p := range r.schedulers {
		r.toSchedulers.prefer(1 - n)
		p.replace()
	}
	r.promise.replace()
	if !r.signalAgent(syscall.SIGTERM) {
		t.Error("there is no agent to replace")
	}
	supervised := filepath.Join(r.dir, "supervisor")
	if err := r.supervisor.command.Process.Signal(syscall.SIGUSR2); err != nil { // the supervisor replaces itself in place
		t.Error(err)
	}
	if _, err := supervisor.WaitReady(ctx, supervised); err != nil {
		t.Error(err)
	}
	close(stop)
	acknowledged := <-told
	if len(acknowledged) < 10 {
		t.Errorf("only %d bangs were sent: the test says nothing", len(acknowledged))
	}
	await(t, "every acknowledged bang is satisfied", func() bool {
		response, err := bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree.GetTreeId(), PageSize: 1000})
		satisfied := map[string]bool{}
		for _, b := range response.GetBangs() {
			satisfied[b.GetBangId()] = b.GetSatisfiedAt() != nil
		}
		for _, id := range acknowledged {
			if !satisfied[id] {
				return false
			}
		}
		return err == nil
	})
	r.green(tree.GetTreeId())
}

// bangUntil bangs until stop is closed, each until it is acknowledged, and returns the bangs.
func bangUntil(ctx context.Context, t *testing.T, bangs masterv1connect.BangServiceClient, treeID string, stop <-chan struct{}) (acknowledged []string) {
	tick := time.NewTicker(rollingBangEvery)
	defer tick.Stop()
	refused := 0
	defer func() { t.Logf("%d bangs, %d refusals", len(acknowledged), refused) }()
	for {
		select {
		case <-stop:
			return acknowledged
		case <-tick.C:
		}
		request := &masterv1.BangRequest{
			RequestId: fmt.Sprintf("rolling-%d", len(acknowledged)), Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "test", Target: &masterv1.BangRequest_TreeId{TreeId: treeID},
		}
		for {
			response, err := bangs.Bang(ctx, request)
			if err == nil {
				acknowledged = append(acknowledged, response.GetResults()[0].GetBangId())
				break
			}
			if !rpc.IsRetryable(err) || ctx.Err() != nil {
				t.Errorf("bang %d: %v", len(acknowledged), err)
				return acknowledged
			}
			refused++
			<-tick.C
		}
	}
}

// prefer sends new connections to one replica; the open ones stay where they are.
func (r *relay) prefer(target int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = target
}

// replace ends a process as an orchestrator does, and starts its successor.
func (p *process) replace() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(grace):
		p.t.Errorf("%s runs %s after SIGTERM", p.name, grace)
		p.kill9()
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with %d after SIGTERM", p.name, code)
	}
	p.start()
}
