package rpc_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/vow-os/vow/kit/rpc"
)

// boundedService is one that has a contract, by which its calls are classified.
const boundedService = "vow.test.v1.BoundedService"

// declare registers that contract, once in a test run.
var declare = sync.OnceValue(func() error {
	method := func(name string) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{Name: proto.String(name), InputType: proto.String(".grpc.health.v1.HealthCheckRequest"), OutputType: proto.String(".grpc.health.v1.HealthCheckResponse")}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("vow/test/v1/bounded.proto"), Package: proto.String("vow.test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"grpc/health/v1/health.proto"},
		Service:    []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("BoundedService"), Method: []*descriptorpb.MethodDescriptorProto{method("Bang"), method("Change"), method("ListThings")}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(file)
})

func procedure(method string) string { return "/" + boundedService + "/" + method }

// newBounded serves the service with a handler for all of its methods.
func newBounded(t *testing.T, a rpc.Admission, handle func(ctx context.Context, r *request) (*response, error)) *world {
	t.Helper()
	must(t, declare())
	a.First = []string{procedure("Bang")}
	more := func(server *rpc.Server) {
		mux := http.NewServeMux()
		for _, method := range []string{"Bang", "Change", "ListThings"} {
			mux.Handle(procedure(method), connect.NewUnaryHandlerSimple(procedure(method), handle, server.HandlerOptions()...))
		}
		server.Handle("/"+boundedService+"/", mux)
	}
	return newWorld(t, echo{unary: answer, more: more}, func(s *rpc.Settings, _ *rpc.ClientSettings) { s.Admission = a })
}

func call(ctx context.Context, c *rpc.Client, method, what string, options ...connect.ClientOption) error {
	client := connect.NewClient[request, response](c.HTTP(), c.BaseURL()+procedure(method), append(c.Options(), options...)...)
	_, err := client.CallUnary(ctx, connect.NewRequest(&request{Service: what}))
	return err
}

// held is a handler whose calls end when they are released, in the order in which they got a slot.
type held struct {
	mu      sync.Mutex
	begun   []string
	release chan struct{}
}

func (h *held) handle(ctx context.Context, r *request) (*response, error) {
	h.mu.Lock()
	h.begun = append(h.begun, r.GetService())
	h.mu.Unlock()
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return &response{}, nil
}

func (h *held) order() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.begun)
}

// What keeps promises goes before changes and those before reads, each in the order of coming; each eighth slot goes to who has waited longest.
func TestBangsGoBeforeReadsAndNoClassIsShutOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{release: make(chan struct{})}
		w := newBounded(t, rpc.Admission{Slots: 1, Wait: time.Minute}, h.handle)
		defer w.stop(t)
		var calls sync.WaitGroup
		ask := func(method, what string) {
			calls.Go(func() { must(t, call(t.Context(), w.client, method, what)) })
			time.Sleep(time.Millisecond) // virtual: they come one after the other
			synctest.Wait()
		}
		ask("Change", "now")
		ask("ListThings", "read 1")
		ask("ListThings", "read 2")
		ask("Change", "change 1")
		for n := range 8 {
			ask("Bang", fmt.Sprint("bang ", n+1))
		}
		for range 12 {
			h.release <- struct{}{}
			synctest.Wait()
		}
		calls.Wait()
		want := "now, bang 1, bang 2, bang 3, bang 4, bang 5, bang 6, bang 7, read 1, bang 8, change 1, read 2"
		if got := strings.Join(h.order(), ", "); got != want {
			t.Errorf("begun were %s\nwant %s", got, want)
		}
	})
}

// A call beyond the bound is refused at once, one that waits too long when that is over; both are told when to come again, are counted, and nothing of them was done.
func TestBeyondItsBoundsAServerRefusesWithADelay(t *testing.T) {
	for name, protocol := range map[string]connect.ClientOption{"connect": connect.WithClientOptions(), "grpc": connect.WithGRPC(), "grpc-web": connect.WithGRPCWeb()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{release: make(chan struct{})}
				w := newBounded(t, rpc.Admission{Slots: 1, Waiting: 1, Wait: time.Second}, h.handle)
				defer w.stop(t)
				// A client of another repository obeys nothing.
				plain := func(what string) error {
					c := connect.NewClient[request, response](w.client.HTTP(), w.client.BaseURL()+procedure("Bang"), protocol)
					_, err := c.CallUnary(t.Context(), connect.NewRequest(&request{Service: what}))
					return err
				}
				var calls sync.WaitGroup
				calls.Go(func() { must(t, plain("works")) })
				synctest.Wait()
				refusals := make(chan error, 2)
				began := time.Now()
				calls.Go(func() { refusals <- plain("waits") })
				synctest.Wait()
				refusals <- plain("too many")
				for _, c := range []struct {
					what  string
					after time.Duration
				}{{"too many", 0}, {"waits", time.Second}} {
					err := <-refusals
					after, ok := rpc.RetryAfter(err)
					if rpc.CodeOf(err) != rpc.CodeUnavailable || rpc.Reason(err) != rpc.ReasonOverloaded || !ok || after < rpc.MinRetryDelay || after > rpc.MaxRetryDelay {
						t.Errorf("%s is answered %v, come again after %v", c.what, err, after)
					}
					if took := time.Since(began); took != c.after {
						t.Errorf("%s is answered after %s", c.what, took)
					}
				}
				close(h.release)
				calls.Wait()
				must(t, plain("free again"))
				if got := strings.Join(h.order(), ", "); got != "works, free again" {
					t.Errorf("begun were %s", got)
				}
				if _, page := w.admin(t, "/metrics"); !strings.Contains(page, `vow_limit_name="rpc_first"`) {
					t.Error("the limit is not counted")
				}
			})
		})
	}
}

// A caller that goes away leaves its place, and a slot that it got in the same moment is not lost.
func TestACallerThatGoesAwayLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{release: make(chan struct{})}
		w := newBounded(t, rpc.Admission{Slots: 2, Waiting: 2, Wait: time.Minute}, h.handle)
		defer w.stop(t)
		for range 20 {
			var calls sync.WaitGroup
			for range 2 {
				calls.Go(func() { must(t, call(t.Context(), w.client, "Bang", "works")) })
			}
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			for range 2 {
				calls.Go(func() { _ = call(ctx, w.client, "Bang", "goes away") })
			}
			synctest.Wait()
			go cancel()
			for range 2 {
				h.release <- struct{}{}
			}
			// Whoever of them got a slot ends with its context.
			calls.Wait()
			synctest.Wait()
		}
		close(h.release)
		for range 4 {
			must(t, call(t.Context(), w.client, "Bang", "both slots are free"))
		}
	})
}

// Overload, in virtual time: a server that can do so many calls a second is asked for three times as many, for 30 s.
const (
	costOfACall = 40 * time.Millisecond // of the one processor, so that capacity is 25 calls a second
	capacity    = int(time.Second / costOfACall)
	callerTime  = 2 * time.Second // after which an answer is of no use
	clients     = 20
)

// overloaded is the server and how much came of it.
type overloaded struct {
	w         *world
	clients   []*rpc.Client
	processor chan struct{}
	ended     chan struct{} // closed when the test has seen enough
	mu        sync.Mutex
}

func (o *overloaded) handle(_ context.Context, _ *request) (*response, error) {
	select {
	case o.processor <- struct{}{}:
	case <-o.ended:
		return &response{}, nil
	}
	time.Sleep(costOfACall) // virtual
	<-o.processor
	return &response{}, nil
}

// load asks for a number of calls a second, whatever becomes of them, and returns how many were answered in time in each second.
func (o *overloaded) load(t *testing.T, perSecond, seconds int) []int {
	t.Helper()
	var all sync.WaitGroup
	answered := make([]int, seconds+int(callerTime/time.Second)+1)
	began := time.Now()
	for n := range perSecond * seconds {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(perSecond)))) // virtual
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), callerTime)
			defer cancel()
			if call(ctx, o.clients[n%clients], "Bang", "x") == nil {
				o.mu.Lock()
				defer o.mu.Unlock()
				answered[int(time.Since(began)/time.Second)]++
			}
		})
	}
	time.Sleep(time.Until(began.Add(time.Duration(seconds) * time.Second)))
	go all.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(answered[:seconds])
}

func newOverloaded(t *testing.T, a rpc.Admission) *overloaded {
	t.Helper()
	o := &overloaded{processor: make(chan struct{}, 1), ended: make(chan struct{})}
	o.w = newBounded(t, a, o.handle)
	for n := range clients {
		c, err := rpc.NewClient(rpc.Target{Address: "server:80"}, rpc.ClientSettings{Dial: o.w.net.Dialer(fmt.Sprint("client", n))})
		must(t, err)
		o.clients = append(o.clients, c)
	}
	return o
}

func (o *overloaded) stop(t *testing.T) {
	t.Helper()
	close(o.ended)
	for _, c := range o.clients {
		c.Close()
	}
	o.w.stop(t)
	time.Sleep(time.Minute) // virtual: time ends with the test, and what is being worked on with it
}

func sum(all []int) (total int) {
	for _, n := range all {
		total += n
	}
	return total
}

// After three times its capacity for 30 s a server answers at least 95 % of what it did before, within 10 s; and it never stops doing useful work.
func TestAfterThreeTimesItsCapacityAServerIsItselfAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOverloaded(t, rpc.Admission{Slots: 4, Waiting: 50})
		defer o.stop(t)
		const steady = capacity * 9 / 10
		before := sum(o.load(t, steady, 10))
		during := sum(o.load(t, 3*capacity, 30))
		after := o.load(t, steady, 20)
		t.Logf("answered in time: %d in 10 s before, %d in 30 s of overload, %v after", before, during, after)
		if before < 10*steady*99/100 {
			t.Errorf("before, %d of %d calls were answered in time", before, 10*steady)
		}
		if during < 30*capacity*8/10 {
			t.Errorf("under overload %d calls were answered in time, want 80 %% of %d", during, 30*capacity)
		}
		if later := sum(after[10:]); later*100 < before*95 {
			t.Errorf("from 10 s after the overload on, %d calls were answered in 10 s; before it were %d", later, before)
		}
	})
}

// Without admission the same load leaves the server working for callers that have gone: the test above can fail.
func TestWithoutAdmissionAnOverloadedServerWorksForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOverloaded(t, rpc.Admission{Slots: 1 << 20})
		defer o.stop(t)
		during := sum(o.load(t, 3*capacity, 10)[5:])
		if during > 5*capacity*2/10 {
			t.Errorf("in the last 5 s %d calls were answered in time: this load is no overload", during)
		}
	})
}

// A client repeats refused calls while its budget lasts; then it hands refusals on, each after the delay that the server advised.
func TestAClientObeysWithinItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newBounded(t, rpc.Admission{Slots: 1, Waiting: 1, Wait: time.Millisecond}, func(context.Context, *request) (*response, error) {
			<-release
			return &response{}, nil
		})
		defer w.stop(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var calls sync.WaitGroup
		calls.Go(func() { _ = call(ctx, w.client, "Bang", "has the slot") })
		synctest.Wait()
		// All retries of the client are for this call.
		began := time.Now()
		err := call(ctx, w.client, "Bang", "refused")
		if took := time.Since(began); rpc.Reason(err) != rpc.ReasonOverloaded || took < (rpc.DefaultRetryBudget+1)*rpc.MinRetryDelay {
			t.Errorf("after %s it is answered %v", took, err)
		}
		began = time.Now()
		err = call(ctx, w.client, "Bang", "refused")
		after, _ := rpc.RetryAfter(err)
		if took := time.Since(began); took < after || took > after+time.Second {
			t.Errorf("without a budget a refusal with a delay of %s is handed on after %s: %v", after, took, err)
		}
		close(release)
		calls.Wait()
		must(t, call(ctx, w.client, "Bang", "free again"))
	})
}
