package real

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/sim/chaos"
)

const (
	// attemptTime bounds one attempt of a call of a hollow node or a client.
	attemptTime = 2 * time.Second
	// betweenAttempts is the pause before the next.
	betweenAttempts = 50 * time.Millisecond
	// longestRun of a hollow node.
	longestRun = 40 * time.Millisecond
)

// hollow is a node without content that writes down what it saw: it locks its partitions, begins the runs that it is ordered, and reports them. It can be killed.
type hollow struct {
	computer string
	history  *chaos.History
	neverOK  map[string]bool // allocations whose runs fail
	runs     masterv1connect.RunServiceClient
	orders   schedulerv1connect.OrderServiceClient

	mu    sync.Mutex // never held while anything waits
	at    string     // replica of svc-scheduler that was reached last
	owner string     // the one whose stream of orders is open
	busy  map[string]string
	begun int                                   // runs that began and have not ended
	late  map[string]*masterv1.ReportRunRequest // by partition: of a run that a kill ended
	stop  context.CancelFunc
	all   *sync.WaitGroup
}

func newHollow(t *testing.T, r *replicas, h *chaos.History, computer string) *hollow {
	t.Helper()
	n := &hollow{computer: computer, history: h, neverOK: map[string]bool{}, late: map[string]*masterv1.ReportRunRequest{}}
	to := func(address string, dial rpc.Dial) *rpc.Client {
		c, err := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{Caller: computer, Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	masters := to(r.mastersAt, nil)
	schedulers := to(r.schedulersAt, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.at = address
		}
		return conn, err
	})
	n.runs = masterv1connect.NewRunServiceClient(masters.HTTP(), masters.BaseURL(), masters.Options()...)
	n.orders = schedulerv1connect.NewOrderServiceClient(schedulers.HTTP(), schedulers.BaseURL(), schedulers.Options()...)
	t.Cleanup(func() { n.kill() })
	return n
}

// start keeps a stream of orders open until kill.
func (n *hollow) start() {
	ctx, stop := context.WithCancel(context.Background())
	n.mu.Lock()
	n.stop, n.busy, n.all = stop, map[string]string{}, &sync.WaitGroup{}
	all := n.all
	n.mu.Unlock()
	all.Go(func() {
		for ctx.Err() == nil {
			n.follow(ctx, all)
			pause(ctx, time.Duration(rand.Int64N(int64(500*time.Millisecond))))
		}
	})
}

// kill ends everything that it has in hand, as kill -9 of an agent does.
func (n *hollow) kill() {
	n.mu.Lock()
	stop, all := n.stop, n.all
	n.mu.Unlock()
	if stop != nil {
		stop()
		all.Wait()
	}
}

// killAtWork kills it with a run begun and not reported, if there is one within a time.
func (n *hollow) killAtWork(within time.Duration) {
	for end := n.history.Now() + within; n.history.Now() < end; {
		n.mu.Lock()
		begun := n.begun
		n.mu.Unlock()
		if begun > 0 {
			break
		}
		pause(context.Background(), time.Millisecond)
	}
	n.kill()
}

func (n *hollow) follow(ctx context.Context, all *sync.WaitGroup) {
	n.mu.Lock()
	var running []string
	for _, run := range n.busy {
		running = append(running, run)
	}
	n.mu.Unlock()
	stream, err := n.orders.Orders(ctx, &schedulerv1.OrdersRequest{Computer: n.computer, BootId: "hollow", Slots: 8, Running: running})
	if err != nil {
		return
	}
	defer stream.Close()
	own := func(open bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.owner = ""; open {
			n.owner = n.at
		}
	}
	defer own(false)
	for stream.Receive() {
		if stream.Msg().GetSession() != nil {
			own(true)
		}
		o := stream.Msg().GetOrder()
		if o == nil {
			continue
		}
		unasked := o.GetCause() == typev1.Cause_CAUSE_PERIODICITY || o.GetCause() == typev1.Cause_CAUSE_BOOT
		n.history.Add(chaos.Order{Stream: n.computer, Computer: o.GetComputer(), Partition: o.GetPartition(), RunID: o.GetRunId(), Unasked: unasked, At: n.history.Now()})
		n.mu.Lock()
		_, busy := n.busy[o.GetPartition()]
		if !busy {
			n.busy[o.GetPartition()] = o.GetRunId()
		}
		n.mu.Unlock()
		if !busy { // else it is handed over again in 5 s
			all.Go(func() {
				n.run(ctx, o)
				n.mu.Lock()
				defer n.mu.Unlock()
				delete(n.busy, o.GetPartition())
			})
		}
	}
}

func (n *hollow) run(ctx context.Context, o *schedulerv1.Order) {
	begin := chaos.Begin{Span: chaos.Span{Call: n.history.Now()}, Allocation: o.GetAllocationId(), RunID: o.GetRunId()}
	response, err := untilAnswered(ctx, func(ctx context.Context) (*masterv1.BeginRunResponse, error) {
		return n.runs.BeginRun(ctx, &masterv1.BeginRunRequest{
			Computer: n.computer, Partition: o.GetPartition(), AllocationId: o.GetAllocationId(), RunId: o.GetRunId(), Cause: o.GetCause(), Attempt: o.GetAttempt(),
			DueAt: o.GetDueAt(), OrderedAt: o.GetOrderedAt(),
		})
	})
	if err != nil {
		return
	}
	desired := response.GetDesired()
	begin.Return, begin.Tree, begin.Token = n.history.Now(), desired.GetTreeId(), response.GetToken()
	begin.Desired, begin.Wanted, begin.Value = generation(desired.GetGeneration()), generation(response.GetWanted()), desired.GetParameters()["v"]
	n.history.Add(begin)

	request := &masterv1.ReportRunRequest{
		Computer: n.computer, Partition: o.GetPartition(), AllocationId: o.GetAllocationId(), RunId: o.GetRunId(), Token: response.GetToken(),
		Result: typev1.RunResult_RUN_RESULT_SUCCESS, DurationSeconds: 0.01,
	}
	if n.neverOK[o.GetAllocationId()] {
		request.Result, request.Error, request.ErrorType = typev1.RunResult_RUN_RESULT_FAILURE, "it never passes", "promise"
	}
	run := chaos.Run{Computer: n.computer, Partition: o.GetPartition(), RunID: o.GetRunId(), From: begin.Return}
	n.working(1)
	pause(ctx, time.Duration(rand.Int64N(int64(longestRun))))
	n.working(-1)
	run.Until = n.history.Now()
	n.history.Add(run)
	if ctx.Err() != nil {
		n.mu.Lock()
		n.late[o.GetPartition()] = request
		n.mu.Unlock()
		return
	}
	n.report(ctx, request)
	// What a killed node had begun is reported after a newer run: that must be refused.
	n.mu.Lock()
	late := n.late[o.GetPartition()]
	delete(n.late, o.GetPartition())
	n.mu.Unlock()
	if late != nil {
		n.report(ctx, late)
	}
}

func (n *hollow) working(more int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begun += more
}

func (n *hollow) report(ctx context.Context, request *masterv1.ReportRunRequest) {
	r := chaos.Report{
		Span: chaos.Span{Call: n.history.Now()}, Allocation: request.GetAllocationId(), RunID: request.GetRunId(), Token: request.GetToken(),
		Success: request.GetResult() == typev1.RunResult_RUN_RESULT_SUCCESS,
	}
	_, err := untilAnswered(ctx, func(ctx context.Context) (*masterv1.ReportRunResponse, error) { return n.runs.ReportRun(ctx, request) })
	r.Return, r.Accepted = n.history.Now(), err == nil
	n.history.Add(r)
}

// untilAnswered repeats a call until it is answered, or ctx ends.
func untilAnswered[R any](ctx context.Context, call func(ctx context.Context) (R, error)) (R, error) {
	for {
		attempt, done := context.WithTimeout(ctx, attemptTime)
		r, err := call(attempt)
		done()
		if err == nil || ctx.Err() != nil || !rpc.IsRetryable(err) && !rpc.IsCanceled(err) {
			return r, err
		}
		pause(ctx, betweenAttempts)
	}
}

func pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func generation(g *typev1.Generation) chaos.Generation {
	return chaos.Generation{Epoch: g.GetEpoch(), Number: g.GetNumber()}
}

func colourWord(c typev1.Colour) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "COLOUR_"))
}
