package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/wait"
	"github.com/vow-os/vow/svc-node/converge"
	"github.com/vow-os/vow/svc-node/internal/peer"
)

// Names of the streams, as GetStatus shows them.
const (
	linkLink    = "link"
	linkDesired = "desired"
	linkOrders  = "orders"
	linkSense   = "sense"
)

const (
	// firstReconnect bounds the wait before the first attempt: most losses are of one connection. A control plane that
	// restarts takes longer, refuses this attempt cheaply, and meets the next ones spread over the advised window.
	firstReconnect = 250 * time.Millisecond
	// lastReconnect bounds the growing window of further attempts, unless the advised one is longer.
	lastReconnect = 30 * time.Second
	// statusInterval is the least time between two status messages (LinkRequest.status).
	statusInterval = time.Second
)

// linkState is what is known of one stream.
type linkState struct {
	connected bool
	since     time.Time
	err       string
}

// keep opens a stream again and again, with full jitter, until the agent stops.
func (a *Agent) keep(name string, open func(ctx context.Context, up func()) error) {
	a.setLink(name, false, nil)
	a.group.Go(name, func(ctx context.Context) error {
		select {
		case <-a.registered:
		case <-ctx.Done():
			return nil
		}
		var losses uint64
		for attempt := 0; ctx.Err() == nil; attempt++ {
			err := open(ctx, func() {
				attempt = 0
				a.setLink(name, true, nil)
				a.s.Telemetry.Log.InfoContext(ctx, "a stream is open", "stream", name)
			})
			a.setLink(name, false, err)
			level := slog.LevelDebug
			if attempt == 0 {
				level = slog.LevelInfo
			}
			if ctx.Err() == nil {
				a.s.Telemetry.Log.Log(ctx, level, "a stream is not open", "stream", name, "error", err)
			}
			losses++
			_ = wait.For(ctx, a.reconnect(attempt, fmt.Sprintf("%s/%s/%d", a.s.Computer, name, losses)))
		}
		return nil
	})
}

// reconnect is how long to wait before the next attempt; attempt counts from 0 since the stream was last open. The place in
// the window is a hash of the id: full jitter over the fleet, and the same in every telling of a simulated story.
func (a *Agent) reconnect(attempt int, id string) time.Duration {
	a.mu.Lock()
	window := a.window
	a.mu.Unlock()
	if attempt == 0 {
		return backoff.Phase(id, min(window, firstReconnect))
	}
	limit := max(window, lastReconnect)
	for range attempt - 1 {
		if window *= 2; window >= limit {
			window = limit
			break
		}
	}
	return backoff.Phase(id, window)
}

func (a *Agent) setLink(name string, connected bool, err error) {
	state := linkState{connected: connected, since: time.Now()}
	if err != nil {
		state.err = err.Error()
	}
	a.mu.Lock()
	if was, ok := a.links[name]; ok && was.connected == connected {
		state.since = was.since
	}
	a.links[name] = state
	a.mu.Unlock()
}

// desired holds WatchDesired.
func (a *Agent) desired(ctx context.Context, up func()) error {
	request := &masterv1.WatchDesiredRequest{Computer: a.s.Computer}
	for _, p := range a.node.Load().Partitions() {
		if d := contentOf(p.Desired); d != nil {
			request.Known = append(request.Known, &masterv1.Known{
				Partition: p.Name, AllocationId: p.Desired.AllocationID, Generation: d.GetGeneration(), Pause: d.GetPause().GetGeneration(),
			})
		}
	}
	defer a.tell(ctx, converge.LinkChanged{Link: converge.Master})
	open := false
	return a.s.Master.WatchDesired(ctx, request, func(r *masterv1.WatchDesiredResponse) {
		wanted := converge.Wanted{Freed: r.GetFreed()}
		for _, d := range r.GetPartitions() {
			wanted.Items = append(wanted.Items, desiredOf(d))
		}
		if len(wanted.Items)+len(wanted.Freed) > 0 {
			a.tell(ctx, wanted)
		}
		if r.GetSoftwareChanged() {
			a.software.supply(r.GetSoftware())
		}
		if !open {
			open = true
			up()
			a.tell(ctx, converge.LinkChanged{Link: converge.Master, Up: true})
			a.wantReplay()
		}
	})
}

// orders holds Orders.
func (a *Agent) orders(ctx context.Context, up func()) error {
	defer a.tell(ctx, converge.LinkChanged{Link: converge.Orders})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what waits to begin
	request := &schedulerv1.OrdersRequest{
		Computer: a.s.Computer, BootId: a.s.BootID, Slots: uint32(a.s.Slots), Running: a.node.Load().InHand(),
	}
	open := false
	return a.s.Scheduler.Orders(ctx, request, func(r *schedulerv1.OrdersResponse) {
		if !open {
			open = true
			up()
			a.tell(ctx, converge.LinkChanged{Link: converge.Orders, Up: true})
		}
		if o := r.GetOrder(); o != nil {
			a.ordered(ctx, o)
		}
	})
}

// maxHold bounds how long an order holds back its run, whatever it says: svc-scheduler hands it over again after 5 s.
const maxHold = time.Second

// ordered takes an order, once it may begin. One that waits when its stream ends is handed over again by the next.
func (a *Agent) ordered(ctx context.Context, o *schedulerv1.Order) {
	taken := converge.Ordered{Order: orderOf(o)}
	hold := min(o.GetBeginAfter().AsDuration(), maxHold)
	if hold <= 0 {
		a.tell(ctx, taken)
		return
	}
	a.group.Go("order", func(context.Context) error {
		_ = wait.For(ctx, hold)
		if ctx.Err() == nil {
			a.tell(ctx, taken)
		}
		return nil
	})
}

// link holds Link: the welcome, operators' calls, our status.
func (a *Agent) link(ctx context.Context, up func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.s.Master.Link(ctx, &masterv1.LinkHello{Computer: a.s.Computer, BootId: a.s.BootID, Version: a.s.Version})
	if err != nil {
		return err
	}
	answers := make(chan *masterv1.NodeAnswer, 16)
	sent := make(chan error, 1)
	go func() {
		defer cancel() // ends the receiving below
		sent <- a.speak(ctx, stream, answers)
	}()
	receiveErr := a.listen(ctx, stream, answers, up)
	cancel()
	stream.Close()
	if err := <-sent; err != nil && peer.Away(err) && ctx.Err() == nil {
		return err
	}
	return receiveErr
}

// speak sends answers and status.
func (a *Agent) speak(ctx context.Context, stream peer.LinkStream, answers <-chan *masterv1.NodeAnswer) error {
	var next time.Time
	for {
		var r *masterv1.LinkRequest
		select {
		case answer := <-answers:
			r = &masterv1.LinkRequest{Message: &masterv1.LinkRequest_Answer{Answer: answer}}
		case <-a.statusWanted:
			if pause := time.Until(next); pause > 0 {
				time.AfterFunc(pause, a.wantStatus)
				continue
			}
			next = time.Now().Add(statusInterval)
			r = &masterv1.LinkRequest{Message: &masterv1.LinkRequest_Status{Status: a.nodeStatus()}}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := stream.Send(r); err != nil {
			return err
		}
	}
}

// listen takes the welcome and the calls.
func (a *Agent) listen(ctx context.Context, stream peer.LinkStream, answers chan<- *masterv1.NodeAnswer, up func()) error {
	calls := a.relayed(ctx, answers)
	for {
		r, err := stream.Receive()
		if err != nil {
			return err
		}
		if welcome := r.GetWelcome(); welcome != nil {
			if window := welcome.GetReconnectWindow().AsDuration(); window > 0 {
				a.mu.Lock()
				a.window = window
				a.mu.Unlock()
			}
			up()
			a.wantStatus()
			a.wantReplay()
		}
		calls.take(r)
	}
}
