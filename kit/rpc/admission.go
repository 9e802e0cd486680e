package rpc

import (
	"container/list"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// Admission bounds the unary calls that a server has in hand. The zero value of a field is its default.
//
// A call takes a slot, or waits for one, and what cannot wait is refused before a byte of its message is read:
// UNAVAILABLE with ReasonOverloaded and a delay after which to come again, which clients obey (patience.go). Streams
// take no slot: they live for days, and bound themselves.
type Admission struct {
	// Slots is how many calls are worked on at once; DefaultSlots if zero.
	Slots int
	// Waiting is how many calls of each class wait for a slot; DefaultWaiting if zero.
	Waiting int
	// Wait is how long a call waits for a slot before it is refused; DefaultWait if zero.
	Wait time.Duration
	// First are the procedures that go before all others, "/package.Service/Method": what keeps promises.
	First []string
}

// Defaults of Admission.
const (
	// DefaultSlots keeps two cores and a store that commits in groups of 100 busy. A call costs 0.1 to 1 ms of processor
	// time, so that the last of a full house is answered within a second.
	DefaultSlots = 1024
	// DefaultWaiting is a bang at each of 4,000 nodes: they begin their runs within milliseconds of each other.
	DefaultWaiting = 4096
	// DefaultWait is a tenth of DefaultTimeout: who was admitted still has nine tenths of its time, so that no work is
	// done for a caller that has gone.
	DefaultWait = time.Second
	// MinRetryDelay and MaxRetryDelay bound the advised delay.
	MinRetryDelay = 100 * time.Millisecond
	MaxRetryDelay = 5 * time.Second
	// sharedSlot is which slot goes to who waits longest, whatever its class: in a storm of bangs somebody wants to look.
	sharedSlot = 8
)

// ReasonOverloaded is the reason (Reason) of a refusal by admission: nothing of the call was done.
const ReasonOverloaded = "OVERLOADED"

// class is what a call is, in the order in which slots are given away.
type class int

const (
	classFirst  class = iota // what keeps promises: bangs, runs, reports
	classChange              // what people and programs change
	classRead                // Get…, List…
	classes
)

// limitOf names the limit that a class hit, for the limit metric.
var limitOf = [classes]string{"rpc_first", "rpc_changes", "rpc_reads"} //nolint:gochecknoglobals // a constant

func (a Admission) withDefaults() Admission {
	if a.Slots == 0 {
		a.Slots = DefaultSlots
	}
	if a.Waiting == 0 {
		a.Waiting = DefaultWaiting
	}
	if a.Wait == 0 {
		a.Wait = DefaultWait
	}
	return a
}

// admission gives slots away.
type admission struct {
	limits  Admission
	classOf map[string]class // by procedure; what is not in it takes no slot
	refuse  *connect.ErrorWriter
	hits    conv.Counter

	mu      sync.Mutex // never held while anything waits
	free    int
	granted int
	queues  [classes]list.List // of *waiter
	pace    pace
}

// waiter is a call without a slot.
type waiter struct {
	since time.Time
	slot  chan struct{} // closed when it has one
	at    *list.Element // nil when it left its queue; guarded by admission.mu
}

func newAdmission(a Admission, t *telemetry.Telemetry) *admission {
	a = a.withDefaults()
	return &admission{
		limits: a, free: a.Slots, classOf: map[string]class{}, refuse: connect.NewErrorWriter(),
		hits: conv.LimitHits.New(t.Meter("kit/rpc")),
	}
}

// know classifies the unary methods of a service by its contract.
func (a *admission) know(service string) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		return
	}
	first := map[string]bool{}
	for _, procedure := range a.limits.First {
		first[procedure] = true
	}
	for i := range descriptor.Methods().Len() {
		m := descriptor.Methods().Get(i)
		procedure := "/" + service + "/" + string(m.Name())
		switch name := string(m.Name()); {
		case m.IsStreamingClient() || m.IsStreamingServer():
		case first[procedure]:
			a.classOf[procedure] = classFirst
		case strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List"):
			a.classOf[procedure] = classRead
		default:
			a.classOf[procedure] = classChange
		}
	}
}

// admitted lets calls through as slots allow.
func (a *admission) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, bounded := a.classOf[r.URL.Path]; bounded {
			a.serve(next, c, w, r)
			return
		}
		next.ServeHTTP(w, r) // a stream, which lives long: little may be on its stack
	})
}

// serve serves a call when it has a slot.
func (a *admission) serve(next http.Handler, c class, w http.ResponseWriter, r *http.Request) {
	if err := a.enter(r.Context(), c); err != nil {
		if r.Context().Err() == nil {
			a.hits.Add(r.Context(), 1, conv.LimitName.String(limitOf[c]))
		}
		if a.refuse.IsSupported(r) {
			_ = a.refuse.Write(w, r, err) // the caller may be gone
			return
		}
		http.Error(w, Message(err), http.StatusServiceUnavailable)
		return
	}
	defer a.leave()
	next.ServeHTTP(w, r)
}

// enter takes a slot, or waits for one.
func (a *admission) enter(ctx context.Context, c class) error {
	now := time.Now()
	a.mu.Lock()
	if a.free > 0 {
		a.free--
		a.mu.Unlock()
		return nil
	}
	if a.queues[c].Len() >= a.limits.Waiting {
		defer a.mu.Unlock()
		return a.refused(now)
	}
	w := &waiter{since: now, slot: make(chan struct{})}
	w.at = a.queues[c].PushBack(w)
	a.mu.Unlock()

	timer := time.NewTimer(a.limits.Wait)
	defer timer.Stop()
	select {
	case <-w.slot:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.at == nil { // it got one in the last moment
		if ctx.Err() == nil {
			return nil
		}
		a.give()
		return Error(CodeCanceled, ctx.Err())
	}
	a.queues[c].Remove(w.at)
	if ctx.Err() != nil {
		return Error(CodeCanceled, ctx.Err())
	}
	return a.refused(time.Now())
}

// leave gives the slot to the next.
func (a *admission) leave() {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pace.count(now, 1, 0)
	a.give()
}

// give hands a slot to the class that goes first; each eighth to who has waited longest, so that no class is shut out.
func (a *admission) give() {
	var next *list.Element
	var from class
	a.granted++
	for c := range classes {
		front := a.queues[c].Front()
		if front == nil {
			continue
		}
		if next == nil || (a.granted%sharedSlot == 0 && waiterAt(front).since.Before(waiterAt(next).since)) {
			next, from = front, c
		}
	}
	if next == nil {
		a.free++
		return
	}
	w := waiterAt(next)
	a.queues[from].Remove(next)
	w.at = nil
	close(w.slot)
}

func waiterAt(e *list.Element) *waiter { return e.Value.(*waiter) } //nolint:forcetypeassert // nothing else is in the queues

// refused counts a refusal and says when to come again. The caller holds mu.
func (a *admission) refused(now time.Time) error {
	return WithReason(UnavailableFor(errOverloaded, a.pace.refuse(now)), ReasonOverloaded)
}

var errOverloaded = errors.New("cannot answer now: the service has more calls than it can work on")

// pace is how many calls are answered and refused in a second, from which follows when the refused ones would be served.
type pace struct {
	began                    time.Time // of the second that is counted
	answered, turned         int       // in it
	lastAnswered, lastTurned int       // in the one before
	total                    uint64    // refusals, which spreads them
}

// paceWindow is what pace counts over.
const paceWindow = time.Second

func (p *pace) count(now time.Time, answered, turned int) {
	if since := now.Sub(p.began); since >= paceWindow {
		p.lastAnswered, p.lastTurned = p.answered, p.turned
		if since >= 2*paceWindow {
			p.lastAnswered, p.lastTurned = 0, 0
		}
		p.began, p.answered, p.turned = now, 0, 0
	}
	p.answered += answered
	p.turned += turned
}

// refuse counts a refusal and returns the delay: what was refused in a second, served at the rate of that second, and spread over as long again.
func (p *pace) refuse(now time.Time) time.Duration {
	p.count(now, 0, 1)
	p.total++
	turned, answered := max(p.turned, p.lastTurned), max(p.answered, p.lastAnswered, 1)
	delay := time.Duration(float64(paceWindow) * float64(turned) / float64(answered))
	delay = min(max(delay, MinRetryDelay), MaxRetryDelay/2)
	const golden = 0x9E3779B97F4A7C15 // multiples of it are spread evenly, in whatever order they are taken
	return delay + time.Duration(float64(delay)*float64(p.total*golden>>11)/(1<<53))
}
