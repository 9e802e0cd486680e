package real

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-node/app/supervisor"
)

// replicas is two of svc-master and of svc-scheduler on one Redis, with one node behind relays.
type replicas struct {
	*suite
	masters, schedulers     []*process
	toMasters, toSchedulers *relay
	mastersAt, schedulersAt string // where nodes find them
	schedulerAt             []string
	bangsAt                 []masterv1connect.BangServiceClient
	treesAt                 []masterv1connect.TreeServiceClient
	requestsAt              []masterv1connect.InstanceServiceClient
}

func beginReplicas(t *testing.T) *replicas {
	t.Helper()
	return beginReplicasVia(t, func(_, _, address string) string { return address })
}

// beginReplicasVia lets via put something between two of them: it returns where `from` finds `to`, which is at address.
func beginReplicasVia(t *testing.T, via func(from, to, address string) string) *replicas {
	t.Helper()
	redis := storetest.StartRedis(t)
	r := beginReplicasOn(t, func(from string) string { return "redis://" + via(from, "redis", redis.Addr()) }, via, true)
	r.redis = redis
	return r
}

// beginReplicasOn begins on the store whose URL is told to each service.
func beginReplicasOn(t *testing.T, redis func(from string) string, via func(from, to, address string) string, relayed bool) *replicas {
	t.Helper()
	r := &replicas{suite: &suite{t: t, dir: shortDir(t), address: map[string]string{}}}
	free := freeAddresses(t, 10)
	replica := func(name string, n int, args ...string) (*process, string) {
		address, admin := free[0], free[1]
		free = free[2:]
		return &process{
			t: t, name: name, ready: "http://" + admin + "/readyz", log: filepath.Join(r.dir, fmt.Sprintf("%s-%d.log", name, n)),
			args: append([]string{"--address", address, "--admin-address", admin}, args...),
		}, address
	}
	var masters, schedulers []string
	for n := range 2 {
		p, address := replica("svc-master", n, "--redis-url", redis(fmt.Sprint("svc-master-", n)))
		r.masters, masters = append(r.masters, p), append(masters, address)
	}
	r.mastersAt = strings.Join(masters, ",")
	if relayed {
		r.toMasters = relayTo(t, masters...)
		r.mastersAt = r.toMasters.address()
	}
	for n := range 2 {
		p, address := replica("svc-scheduler", n, "--redis-url", redis(fmt.Sprint("svc-scheduler-", n)), "--master", via(fmt.Sprint("svc-scheduler-", n), fmt.Sprint("svc-master-", n), masters[n]))
		r.schedulers, schedulers = append(r.schedulers, p), append(schedulers, address)
	}
	r.schedulersAt = strings.Join(schedulers, ",")
	if relayed {
		r.toSchedulers = relayTo(t, schedulers...)
		r.schedulersAt = r.toSchedulers.address()
	}
	r.schedulerAt = schedulers
	var address string
	r.promise, address = replica("svc-promise", 0, "--redis-url", redis("svc-promise"), "--master", r.mastersAt)
	r.address["svc-master"], r.address["svc-scheduler"], r.address["svc-promise"] = r.mastersAt, r.schedulersAt, address
	r.toward = r.address
	supervised := filepath.Join(r.dir, "supervisor")
	r.supervisor = &process{t: t, name: "vow-supervisor", log: filepath.Join(r.dir, "vow-supervisor.log"), args: append([]string{"--dir", supervised, "--agent", "--"}, r.agent(supervised)...)}
	services := append(append([]*process{r.promise}, r.schedulers...), r.masters...)
	for i := len(services) - 1; i >= 0; i-- {
		services[i].start()
	}
	r.supervisor.start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := supervisor.Shutdown(ctx, supervised); err != nil {
			t.Errorf("stop the supervisor: %v", err)
		}
		<-r.supervisor.exited
		for _, p := range services {
			_ = p.command.Process.Signal(syscall.SIGTERM)
			<-p.exited
		}
		if t.Failed() {
			r.printLogs()
		}
	})
	for n, address := range masters {
		address = via("clients", fmt.Sprint("svc-master-", n), address)
		client, err := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		h, u, o := client.HTTP(), client.BaseURL(), client.Options()
		r.bangsAt = append(r.bangsAt, masterv1connect.NewBangServiceClient(h, u, o...))
		r.requestsAt = append(r.requestsAt, masterv1connect.NewInstanceServiceClient(h, u, o...))
		r.treesAt = append(r.treesAt, masterv1connect.NewTreeServiceClient(h, u, o...))
		r.computers = masterv1connect.NewComputerServiceClient(h, u, o...)
		r.software, r.instances, r.trees, r.bangs = masterv1connect.NewSoftwareServiceClient(h, u, o...), masterv1connect.NewInstanceServiceClient(h, u, o...), r.treesAt[0], r.bangsAt[0]
	}
	return r
}

// TestReplicasAnswerAsOneAndLoseNothing sends each bang to two svc-masters at once under one request id, while the node is sent from one replica of svc-master and svc-scheduler to the other and replicas are killed with -9: both give
// one answer, each bang is satisfied in the end, and both replicas tell the same.
func TestReplicasAnswerAsOneAndLoseNothing(t *testing.T) {
	r := beginReplicas(t)
	tree := r.sample()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		r.trouble(stop)
	}()
	const count = 80
	acknowledged := map[string]bool{}
	tick := time.NewTicker(bangEvery)
	defer tick.Stop()
	for i := range count {
		<-tick.C
		var ids [2]string
		var both sync.WaitGroup
		for n := range ids {
			both.Go(func() { ids[n] = r.bangAt(ctx, n, tree.GetTreeId(), fmt.Sprintf("replica-%d", i)) })
		}
		both.Wait()
		if ids[0] != ids[1] || ids[0] == "" {
			t.Fatalf("bang %d is %q at one replica and %q at the other", i, ids[0], ids[1])
		}
		acknowledged[ids[0]] = true
	}
	close(stop)
	<-stopped
	if len(acknowledged) != count {
		t.Errorf("%d different bangs were acknowledged, want %d", len(acknowledged), count)
	}
	for n := range r.bangsAt {
		await(t, fmt.Sprintf("every acknowledged bang is satisfied, as replica %d tells", n), func() bool {
			response, err := r.bangsAt[n].ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree.GetTreeId(), PageSize: 1000})
			satisfied := 0
			for _, b := range response.GetBangs() {
				if acknowledged[b.GetBangId()] && b.GetSatisfiedAt() != nil {
					satisfied++
				}
			}
			return err == nil && satisfied == count
		})
		r.trees = r.treesAt[n]
		r.green(tree.GetTreeId())
	}
}

// bangAt bangs at one replica until that acknowledges.
func (r *replicas) bangAt(ctx context.Context, n int, treeID, requestID string) string {
	for {
		response, err := r.bangsAt[n].Bang(ctx, &masterv1.BangRequest{
			RequestId: requestID, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "test", Target: &masterv1.BangRequest_TreeId{TreeId: treeID},
		})
		if err == nil {
			return response.GetResults()[0].GetBangId()
		}
		if !rpc.IsRetryable(err) || ctx.Err() != nil {
			r.t.Errorf("bang %s at replica %d: %v", requestID, n, err)
			return ""
		}
		pause := time.NewTimer(50 * time.Millisecond)
		<-pause.C
	}
}

// trouble moves the node and kills replicas in turn until stop is closed.
func (r *replicas) trouble(stop <-chan struct{}) {
	tick := time.NewTicker(1500 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		switch i % 6 {
		case 0, 3:
			r.toSchedulers.turn()
		case 1, 4:
			r.toMasters.turn()
		case 2:
			r.masters[i/6%2].restart9()
		case 5:
			r.schedulers[i/6%2].restart9()
		}
	}
}
