package app

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// replicas is two of svc-promise on one store, and one node that keeps what svc-node keeps: a log of all groups, and an outbox of those that nobody acknowledged.
type replicas struct {
	*story
	at      [2]*App
	sense   [2]promisev1connect.SenseServiceClient
	promise [2]promisev1connect.PromiseServiceClient
	random  *rand.Rand

	log      map[string][]*typev1.SenseGroup
	waiting  []entry
	sent     []sentBatch
	node     *node
	end      context.CancelFunc
	stream   int // which replica it is at
	batch    uint64
	run      int
	wanted   map[string]bool // the bangs that have to be told, by promise and run
	may      map[string]bool // those that may be told: also those of anomalies that ended before any replica could tell
	moves    int
	replayed int
	trace    []string // what happened, for when it went wrong
}

func (r *replicas) say(format string, args ...any) {
	r.trace = append(r.trace, fmt.Sprintf(time.Now().Format("04:05 ")+format, args...))
}

type entry struct {
	group  *typev1.SenseGroup
	replay bool
}

type sentBatch struct {
	number  uint64
	entries []entry
}

// The promises, and how many failures are an anomaly of each.
var promised = map[string]int{"once": 1, "thrice": 3, "often": 3}

func (r *replicas) address(n int) string { return fmt.Sprintf("promise-%d:1", n) }

// startReplica starts one with nothing in memory.
func (r *replicas) startReplica(n int) {
	r.t.Helper()
	listener, err := r.network.Listen(r.address(n))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.at[n], err = New(Config{Master: "master:1"}, Settings{Server: rpc.Settings{Listener: listener}, Store: r.redis, Dial: r.network.Dialer(fmt.Sprintf("promise-%d", n))}); err != nil {
		r.t.Fatal(err)
	}
	if err := r.at[n].Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func beginReplicas(t *testing.T, seed uint64) *replicas {
	t.Helper()
	r := &replicas{story: begin(t), random: rand.New(rand.NewPCG(seed, 0)), log: map[string][]*typev1.SenseGroup{}, wanted: map[string]bool{}, may: map[string]bool{}}
	for n := range r.at {
		r.startReplica(n)
		client, err := rpc.NewClient(rpc.Target{Address: r.address(n)}, rpc.ClientSettings{Dial: r.network.Dialer("laptop")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		r.sense[n] = promisev1connect.NewSenseServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
		r.promise[n] = promisev1connect.NewPromiseServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	}
	t.Cleanup(func() {
		for _, a := range r.at {
			if err := a.Stop(context.Background()); err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	})
	r.open(0)
	return r
}

// open opens the stream at a replica: what nobody acknowledged waits again, without what was replayed.
func (r *replicas) open(n int) {
	r.t.Helper()
	if r.end != nil {
		r.end()
		synctest.Wait()
	}
	var kept []entry
	for _, b := range r.sent {
		kept = append(kept, b.entries...)
	}
	r.waiting, r.sent = slices.DeleteFunc(append(kept, r.waiting...), func(e entry) bool { return e.replay }), nil
	r.stream, r.batch = n, 0
	r.say("the stream is at %d", n)
	r.story.sense = r.sense[n]
	var ctx context.Context
	ctx, r.end = context.WithCancel(r.t.Context())
	r.node = r.openOn(ctx)
	r.replay() // what hello is answered with
}

// replay queues the whole log behind what waits.
func (r *replicas) replay() {
	r.replayed++
	r.say("replay")
	for _, name := range slices.Sorted(maps.Keys(r.log)) {
		for _, g := range r.log[name] {
			r.waiting = append(r.waiting, entry{g, true})
		}
	}
}

// take takes what came down.
func (r *replicas) take() {
	synctest.Wait()
	for len(r.node.got) > 0 {
		response, ok := <-r.node.got
		if !ok {
			return
		}
		for len(r.sent) > 0 && r.sent[0].number <= response.GetAcknowledged() {
			r.sent = r.sent[1:]
		}
		if len(response.GetReplay()) > 0 {
			r.replay()
		}
	}
}

// flush sends what waits, in batches of a few, live groups and replayed ones apart.
func (r *replicas) flush() {
	r.take()
	for len(r.waiting) > 0 {
		n := min(1+r.random.IntN(8), len(r.waiting))
		r.batch++
		b := sentBatch{r.batch, slices.Clone(r.waiting[:n])}
		r.waiting = r.waiting[n:]
		request := &promisev1.SenseRequest{Batch: b.number}
		for _, replay := range []bool{false, true} {
			a := &promisev1.AllocationGroups{Runs: r.runs(), Replay: replay}
			for _, e := range b.entries {
				if e.replay == replay {
					a.Groups = append(a.Groups, e.group)
				}
			}
			if len(a.GetGroups()) > 0 {
				request.Allocations = append(request.Allocations, a)
			}
		}
		r.sent = append(r.sent, b)
		if err := r.node.send(request); err != nil {
			return // the stream is lost; it is opened again by the one who cut it
		}
	}
}

func (r *replicas) runs() *promisev1.PartitionRuns {
	return &promisev1.PartitionRuns{AllocationId: tenant, Partition: "slappart0", LatestSuccess: true, LastSuccessRunId: fmt.Sprint("run-", r.run)}
}

// record numbers a group as the node's log does; one of the promise's own periodicity goes out.
func (r *replicas) record(name string, failed bool, runID string) *typev1.SenseGroup {
	before := r.unacknowledged(name) // takes what came down first: a group is logged and queued in one step, before any replay that has it
	g := group(uint64(len(r.log[name])+1), failed)
	g.Promise, g.Previous, g.RunId = name, g.GetSequence()-1, runID
	if promised[name] == 3 {
		g.Kind = typev1.PromiseKind_PROMISE_KIND_EXECUTABLE
	}
	r.log[name] = append(r.log[name], g)
	if runID != "" {
		return g
	}
	r.waiting = append(r.waiting, entry{g, false})
	bang := fmt.Sprintf("%s after run-%d", name, r.run)
	r.say("%s %d, failed %v", name, g.GetSequence(), failed)
	newest := r.log[name][max(0, len(r.log[name])-promised[name]):]
	if len(newest) == promised[name] && !slices.ContainsFunc(newest, func(g *typev1.SenseGroup) bool { return g.GetEntries()[0].GetLevel() < typev1.LogLevel_LOG_LEVEL_ERROR }) {
		r.wanted[bang], r.may[bang] = true, true
	} else if before { // the anomaly ended on its way
		delete(r.wanted, bang)
	}
	return g
}

// unacknowledged tells whether groups of a promise are on their way.
func (r *replicas) unacknowledged(name string) bool {
	r.take()
	of := func(e entry) bool { return !e.replay && e.group.GetPromise() == name }
	return slices.ContainsFunc(r.waiting, of) || slices.ContainsFunc(r.sent, func(b sentBatch) bool { return slices.ContainsFunc(b.entries, of) })
}

// settle lets everything that was sent arrive, and the store be written.
func (r *replicas) settle() {
	for range 20 { // longer than the growing delay of a bang
		r.flush()
		time.Sleep(time.Second) // virtual
	}
	r.take()
	if len(r.waiting)+len(r.sent) > 0 {
		r.t.Fatalf("%d groups wait and %d batches are not acknowledged", len(r.waiting), len(r.sent))
	}
}

// runs the partition: its groups go to any replica.
func (r *replicas) runPartition() {
	r.settle()
	request := &promisev1.EvaluateRequest{Computer: "laptop", AllocationId: tenant, Partition: "slappart0", RunId: fmt.Sprint("run-", r.run+1)}
	for _, name := range slices.Sorted(maps.Keys(promised)) {
		r.record(name, r.random.IntN(2) == 0, request.GetRunId())
		// What the rules look at: the replica may know nothing of it.
		request.Groups = append(request.Groups, r.log[name][max(0, len(r.log[name])-promised[name]):]...)
	}
	to := r.random.IntN(2)
	r.say("run evaluated at %d: %v", to, request.GetGroups())
	response, err := r.promise[to].Evaluate(r.t.Context(), request)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, v := range response.GetVerdicts() {
		newest := r.log[v.GetPromise()][len(r.log[v.GetPromise()])-1]
		if failed := newest.GetEntries()[0].GetLevel() >= typev1.LogLevel_LOG_LEVEL_ERROR; v.GetTestFailed() != failed || v.GetSequence() != newest.GetSequence() {
			r.t.Errorf("the run's verdict is %v, its group %v", v, newest)
		}
	}
	r.run++
}

// step is one thing that happens.
func (r *replicas) step() {
	switch n := r.random.IntN(20); {
	case n < 10:
		name := slices.Sorted(maps.Keys(promised))[r.random.IntN(len(promised))]
		r.record(name, r.random.IntN(4) > 0, "")
		if r.random.IntN(3) > 0 {
			r.flush()
		}
	case n < 13: // rebalanced, or its connection cut
		r.moves++
		r.open(r.random.IntN(2))
		if r.random.IntN(2) == 0 {
			r.flush()
		}
	case n < 15: // killed: nothing that it has to say gets out any more
		r.moves++
		host := fmt.Sprintf("promise-%d", r.stream)
		r.network.Reset(host, "master")
		r.network.Reset("laptop", host)
		if err := r.at[r.stream].Stop(r.t.Context()); err != nil {
			r.t.Errorf("stop: %v", err)
		}
		killed := r.stream
		r.say("%d was killed", killed)
		r.open(1 - killed)
		r.startReplica(killed)
	case n < 17: // svc-master goes away, or comes back
		away := <-r.master.away
		r.master.away <- !away
		r.say("svc-master is away: %v", !away)
	case n < 18:
		<-r.master.away
		r.master.away <- false
		r.runPartition()
	default:
		time.Sleep(time.Duration(r.random.IntN(20)) * time.Second) // virtual
	}
}

// told is the bangs that svc-master was told of, as it tells them apart.
func (r *replicas) told() map[string]bool {
	told := map[string]bool{}
	for len(r.master.bangs) > 0 {
		b := <-r.master.bangs
		told[b.GetSource()+" after "+b.GetLastSuccessRunId()] = true
	}
	return told
}

// A stream that moves between two replicas at any moment (rebalanced, cut, killed), while the groups of runs go to either, tells svc-master of the bangs that one
// replica which never fails would, but for those whose promise passed before anybody could tell; and both replicas give the same verdicts.
func TestAStreamThatMovesBetweenReplicasLosesNoBangAndMakesNone(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := beginReplicas(t, seed)
				told := map[string]bool{}
				for range 60 {
					r.step()
					maps.Copy(told, r.told())
				}
				<-r.master.away
				r.master.away <- false
				r.settle()
				maps.Copy(told, r.told())
				for bang := range r.wanted {
					if !told[bang] {
						t.Errorf("after %d moves and %d replays the bang of %s is lost; told are %v", r.moves, r.replayed, bang, slices.Sorted(maps.Keys(told)))
					}
				}
				for bang := range told {
					if !r.may[bang] {
						t.Errorf("after %d moves and %d replays %s banged without an anomaly", r.moves, r.replayed, bang)
					}
				}
				r.sameVerdicts()
				if t.Failed() {
					t.Log(strings.Join(r.trace, "\n"))
				}
			})
		})
	}
}

// sameVerdicts checks that both replicas tell what the log says.
func (r *replicas) sameVerdicts() {
	for n := range r.promise {
		response, err := r.promise[n].Verdicts(r.t.Context(), &promisev1.VerdictsRequest{AllocationId: tenant})
		if err != nil {
			r.t.Fatal(err)
		}
		list, err := r.promise[n].ListPromises(r.t.Context(), &promisev1.ListPromisesRequest{AllocationId: tenant})
		if err != nil || len(list.GetPromises()) != len(response.GetVerdicts()) || len(response.GetVerdicts()) != len(r.log) {
			r.t.Fatalf("replica %d lists %v and tells %v, %v; there are %d promises", n, list, response, err, len(r.log))
		}
		for i, v := range response.GetVerdicts() {
			groups := r.log[v.GetPromise()]
			failures := 0
			for i := len(groups) - 1; i >= 0 && groups[i].GetEntries()[0].GetLevel() >= typev1.LogLevel_LOG_LEVEL_ERROR; i-- {
				failures++
			}
			want := &typev1.Verdict{TestFailed: failures > 0, Anomaly: failures >= promised[v.GetPromise()], Sequence: groups[len(groups)-1].GetSequence()}
			for by, got := range map[string]*typev1.Verdict{"Verdicts": v, "ListPromises": list.GetPromises()[i].GetVerdict()} {
				if got.GetTestFailed() != want.GetTestFailed() || got.GetAnomaly() != want.GetAnomaly() || got.GetSequence() != want.GetSequence() {
					r.t.Errorf("replica %d, stream at %d: %s tells %v, want %v", n, r.stream, by, got, want)
				}
			}
		}
	}
}

// A replica without the stream, and without any memory of it, tells what the other one heard; a late group and one that is told twice change nothing.
func TestVerdictsAreRightAtTheReplicaThatDoesNotHaveTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := beginReplicas(t, 0)
		r.record("once", true, "")
		r.settle()
		r.open(1) // what replica 0 knows is old from here on
		r.record("once", false, "")
		r.record("thrice", true, "")
		r.settle()
		old := group(1, true)
		old.Promise, old.At = "once", timestamppb.New(time.Now())
		r.waiting = append(r.waiting, entry{old, false}, entry{r.log["once"][1], false})
		r.settle()
		r.sameVerdicts()
		if told := r.told(); !maps.Equal(told, r.wanted) {
			t.Errorf("told %v, want %v", told, r.wanted)
		}
	})
}
