package real

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store/storetest"
)

const (
	// overloadSlots and overloadWaiting are small and overloadDelay, on each way to Redis and back, is long: so that it is they who bound what svc-master answers, some 100 calls a second, and not a busy machine.
	overloadSlots, overloadWaiting = 8, 32
	overloadDelay                  = 20 * time.Millisecond
	// overloadFactor is how much more than is answered comes on top, for overloadTime, from overloadClients with a budget of retries each. `make bench-control MEASURES=overload` has a machine's whole capacity, and the 95 % within 10 s.
	overloadFactor  = 3
	overloadTime    = 3 * time.Second
	overloadClients = 4
	overloadTrees   = 16
	// overloadLeast is what it answers at most, on a machine with nothing else to do: also when that was busier before than it is in the flood, the flood is one.
	overloadLeast = 100
)

// TestAnOverloadedMasterRefusesAndRecovers asks a real svc-master for three times more than it can answer: what it cannot is refused, and nothing of it done; what it acknowledged is done; and when the flood is
// over it answers as much as before.
func TestAnOverloadedMasterRefusesAndRecovers(t *testing.T) {
	server := storetest.StartRedis(t)
	link := relayTo(t, server.Addr())
	address := freeAddresses(t, 2)
	master := &process{
		t: t, name: "svc-master", ready: "http://" + address[1] + "/readyz", log: filepath.Join(t.TempDir(), "svc-master.log"), args: []string{
			"--address", address[0], "--admin-address", address[1], "--redis-url", "redis://" + link.address(), "--calls", strconv.Itoa(overloadSlots), "--calls-waiting", strconv.Itoa(overloadWaiting),
		},
	}
	master.start()
	t.Cleanup(func() {
		_ = master.command.Process.Signal(syscall.SIGTERM)
		<-master.exited
	})
	client := func() *rpc.Client {
		c, err := rpc.NewClient(rpc.Target{Address: address[0]}, rpc.ClientSettings{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	var acknowledged, refused, unknown atomic.Int64
	trees := plantOverload(t, client())
	bang := func(ctx context.Context, c masterv1connect.BangServiceClient, n int, id string) bool {
		_, err := c.Bang(ctx, &masterv1.BangRequest{
			RequestId: id, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "overload", Target: &masterv1.BangRequest_TreeId{TreeId: trees[n%overloadTrees]},
		})
		switch {
		case err == nil:
			acknowledged.Add(1)
		case rpc.Reason(err) == rpc.ReasonOverloaded:
			refused.Add(1)
		case rpc.IsRetryable(err) || rpc.IsCanceled(err):
			unknown.Add(1)
		default:
			t.Errorf("%s: %v", id, err)
		}
		return err == nil
	}
	link.slow(overloadDelay)

	var steady atomic.Int64
	calling, stop := context.WithCancel(t.Context())
	var callers, flood sync.WaitGroup
	for caller := range overloadSlots {
		bangs := bangsOver(client())
		callers.Go(func() {
			for n := 0; calling.Err() == nil; n++ {
				if bang(context.WithoutCancel(calling), bangs, caller+n*overloadSlots, fmt.Sprint("steady", caller, "-", n)) {
					steady.Add(1)
				}
			}
		})
	}
	goodput := func(length time.Duration) float64 {
		from, began := steady.Load(), time.Now()
		pause(t.Context(), length)
		return float64(steady.Load()-from) / time.Since(began).Seconds()
	}
	before := goodput(2 * time.Second)

	var flooding [overloadClients]masterv1connect.BangServiceClient
	for n := range flooding {
		flooding[n] = bangsOver(client())
	}
	from, began := acknowledged.Load(), time.Now()
	offered := 0
	for since := time.Duration(0); since < overloadTime; since = time.Since(began) {
		for ; offered < int(since.Seconds()*max(before, overloadLeast)*overloadFactor); offered++ {
			n := offered
			flood.Go(func() { bang(t.Context(), flooding[n%overloadClients], n, fmt.Sprint("flood", n)) })
		}
		pause(t.Context(), 5*time.Millisecond)
	}
	during, ended := float64(acknowledged.Load()-from)/time.Since(began).Seconds(), time.Now()
	after := goodput(2 * time.Second)
	for after < before/2 && time.Since(ended) < resting {
		after = goodput(2 * time.Second)
	}
	t.Logf("%.0f bangs a second; %.0f while %d more came in %s, of which %d were refused and %d not answered; %.0f a second %.0f s after it", before, during, offered, overloadTime, refused.Load(), unknown.Load(), after, time.Since(ended).Seconds())
	if refused.Load() == 0 {
		t.Errorf("none of %d bangs was refused: the test says nothing", offered)
	}
	if after < before/2 {
		t.Errorf("%s after the flood %.0f bangs a second are answered, where it was %.0f", resting, after, before)
	}
	flood.Wait()
	stop()
	callers.Wait()
	link.slow(0)
	recorded := int64(0)
	for _, tree := range trees {
		response, err := untilAnswered(t.Context(), func(ctx context.Context) (*masterv1.ListBangsResponse, error) {
			return flooding[0].ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree, PageSize: 1000})
		})
		if err != nil {
			t.Fatal(err)
		}
		recorded += int64(len(response.GetBangs()))
	}
	if recorded < acknowledged.Load() || recorded > acknowledged.Load()+unknown.Load() {
		t.Errorf("%d bangs are recorded; %d were acknowledged, %d not answered, %d refused", recorded, acknowledged.Load(), unknown.Load(), refused.Load())
	}
}

func bangsOver(c *rpc.Client) masterv1connect.BangServiceClient {
	return masterv1connect.NewBangServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
}

// plantOverload makes a computer that nobody is, with trees whose bangs all join the first of each.
func plantOverload(t *testing.T, c *rpc.Client) (trees []string) {
	t.Helper()
	ctx := t.Context()
	computer := &masterv1.RegisterComputerRequest{Computer: "hollow", Cpus: 8}
	for p := range overloadTrees {
		computer.Partitions = append(computer.Partitions, &masterv1.Partition{Name: fmt.Sprint("slappart", p)})
	}
	if _, err := masterv1connect.NewComputerServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).RegisterComputer(ctx, computer); err != nil {
		t.Fatal(err)
	}
	if _, err := masterv1connect.NewSoftwareServiceClient(c.HTTP(), c.BaseURL(), c.Options()...).SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: hollowRelease, Computer: "hollow"}); err != nil {
		t.Fatal(err)
	}
	instances := masterv1connect.NewInstanceServiceClient(c.HTTP(), c.BaseURL(), c.Options()...)
	for n := range overloadTrees {
		response, err := instances.RequestInstance(ctx, &masterv1.RequestInstanceRequest{Title: fmt.Sprint("tree", n), SoftwareRelease: hollowRelease, Computer: "hollow"})
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, response.GetInstance().GetTreeId())
	}
	return trees
}
