package real

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/sim/chaos"
)

const (
	// chaosTime is for how long it kills, pauses and cuts unless VOW_SOAK says (make soak SOAK=10m); longer on a machine that is so busy that less happens than the test needs to say something, up to resting.
	chaosTime = 10 * time.Second
	// At least so many calls are answered, faults made and reports accepted.
	leastAnswered, leastFaults, leastReports = 100, 15, 50
	// chaosNodes have two partitions of each tree; with fewer trees calls meet more often, with more none has more bangs than are kept.
	chaosNodes     = 3
	treesPerMinute = 12
	chaosClients   = 6
	// resting bounds how long the fleet takes to do what it acknowledged, after everything is healed: a bound for what hangs, not for what is slow.
	resting = 5 * time.Minute
	// betweenCalls is the longest pause of a client.
	betweenCalls = 150 * time.Millisecond
	// giveUp is after how long a client has had enough of a call, and hasty after how long it has of one in ten: its outcome is unknown then.
	giveUp = 8 * time.Second
	hasty  = 150 * time.Millisecond
	// linearTime bounds what porcupine searches for each tree; it takes milliseconds.
	linearTime = time.Minute

	hollowRelease = "file:///hollow/software.cfg"

	// killRedis moves the epochs.
	killRedis = "kill -9 redis"
)

// wild is a fleet that is treated badly, and what was seen of it.
type wild struct {
	*replicas
	history *chaos.History
	random  *rand.Rand // of the faults; each client has its own
	links   map[string]*relay
	nodes   map[string]*hollow
	roots   map[string]string // by tree: the title of its root; empty = on the real agent
	trees   []string
	silent  time.Duration // when the silent computer was last heard of
}

// TestWhatMustNeverHappenDoesNotUnderChaos kills every service, the agent and Redis with -9 at random moments, pauses them, cuts and slows what is between any two of them, while clients request, bang and read and
// nodes run; and then holds what everybody saw against each sentence of docs/rules.md, "what must never happen", and against a sequential model of requests and bangs.
// A seed that failed is run again with VOW_SEED: its faults are the same, though not to the millisecond.
func TestWhatMustNeverHappenDoesNotUnderChaos(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("VOW_SEED"), 10, 64); err == nil {
		seed = given
	}
	length := chaosTime
	if soak, err := time.ParseDuration(os.Getenv("VOW_SOAK")); err == nil {
		length = soak
	}
	t.Logf("seed %d: VOW_SEED=%d makes the same faults", seed, seed)
	w := beginWild(t, seed)
	w.plant(max(6, int(length.Minutes()*treesPerMinute)))

	w.under(seed, func() { w.harm(length) })
	w.rest()
	w.judge()
}

func beginWild(t *testing.T, seed uint64) *wild {
	t.Helper()
	links := map[string]*relay{}
	w := wildOn(beginReplicasVia(t, func(from, to, address string) string {
		link := relayTo(t, address)
		links[from+" and "+to] = link
		return link.address()
	}), seed)
	links["nodes and svc-master"], links["nodes and svc-scheduler"] = w.toMasters, w.toSchedulers
	w.links = links
	return w
}

func wildOn(r *replicas, seed uint64) *wild {
	w := &wild{replicas: r, nodes: map[string]*hollow{}, roots: map[string]string{}, random: rand.New(rand.NewPCG(seed, 0)), history: chaos.Start()}
	w.history.Period = 24 * time.Hour
	return w
}

// under calls clients while the rest happens.
func (w *wild) under(seed uint64, rest func()) {
	calling, stop := context.WithCancel(w.t.Context())
	var clients sync.WaitGroup
	for n := range chaosClients {
		clients.Go(func() { w.client(calling, n, rand.New(rand.NewPCG(seed, uint64(n+1)))) })
	}
	clients.Go(func() { w.look(calling) })
	rest()
	stop()
	clients.Wait()
}

// plant makes the computers, the trees and the nodes; and a computer that nobody will hear of again.
func (w *wild) plant(trees int) {
	w.t.Helper()
	var computers []string
	for n := range chaosNodes {
		computers = append(computers, fmt.Sprint("hollow", n))
		w.register(computers[n], trees+1)
	}
	silent := &masterv1.RegisterComputerRequest{Computer: fmt.Sprint("hollow", chaosNodes), Cpus: 8, Partitions: []*masterv1.Partition{{Name: "slappart0"}}}
	if _, err := w.computers.RegisterComputer(w.t.Context(), silent); err != nil {
		w.t.Fatal(err)
	}
	w.silent = w.history.Now()
	for n := range trees {
		title := fmt.Sprint("tree", n)
		root := w.request(title, "", computers[n%chaosNodes])
		w.request("child", root.GetInstanceId(), computers[(n+1)%chaosNodes])
		w.trees, w.roots[root.GetTreeId()] = append(w.trees, root.GetTreeId()), title
	}
	never := w.request("never", "", computers[0])
	w.nodes[computers[0]].neverOK[never.GetAllocationId()] = true
	real := w.sample().GetTreeId() // with the real agent, and real processes
	w.trees, w.roots[real] = append(w.trees, real), ""
	for _, node := range w.nodes {
		node.start()
	}
}

// register makes a computer that has the release of hollow nodes, and its node.
func (w *wild) register(computer string, partitions int) {
	w.t.Helper()
	ctx := w.t.Context()
	req := &masterv1.RegisterComputerRequest{Computer: computer, Cpus: 8}
	for p := range partitions {
		req.Partitions = append(req.Partitions, &masterv1.Partition{Name: fmt.Sprint("slappart", p)})
	}
	if _, err := w.computers.RegisterComputer(ctx, req); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: hollowRelease, Computer: computer}); err != nil {
		w.t.Fatal(err)
	}
	available := &masterv1.ReportSoftwareStateRequest{SoftwareRelease: hollowRelease, Computer: computer, State: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE}
	if _, err := w.software.ReportSoftwareState(ctx, available); err != nil {
		w.t.Fatal(err)
	}
	w.nodes[computer] = newHollow(w.t, w.replicas, w.history, computer)
}

// request makes an instance, which has its partition at once.
func (w *wild) request(title, requester, computer string) *masterv1.Instance {
	w.t.Helper()
	response, err := w.instances.RequestInstance(w.t.Context(), &masterv1.RequestInstanceRequest{Title: title, RequesterId: requester, SoftwareRelease: hollowRelease, Computer: computer})
	if err != nil || response.GetInstance().GetAllocationId() == "" {
		w.t.Fatalf("%s: %v, %v", title, response.GetReason(), err)
	}
	return response.GetInstance()
}

// client requests, bangs and reads, in turn through both replicas.
func (w *wild) client(ctx context.Context, me int, random *rand.Rand) {
	var banged []chaos.Operation
	for n := 0; ctx.Err() == nil; n++ {
		o := chaos.Operation{Tree: w.trees[random.IntN(len(w.trees))], ID: fmt.Sprintf("%d-%d", me, n)}
		switch dice := random.IntN(10); {
		case dice < 5 || w.roots[o.Tree] == "": // what the real agent runs is banged only
			o.Kind = chaos.Bang
		case dice < 6 && len(banged) > 0: // the same again
			last := banged[random.IntN(len(banged))]
			o.Kind, o.Tree, o.ID = chaos.Bang, last.Tree, last.ID
		case dice < 8:
			o.Kind, o.Value = chaos.Request, o.ID
		default:
			o.Kind = chaos.Read
		}
		o.Call = w.history.Now()
		limit := giveUp
		if random.IntN(10) == 0 {
			limit = hasty
		}
		until, done := context.WithTimeout(context.WithoutCancel(ctx), limit)
		attempt := me
		_, err := untilAnswered(until, func(ctx context.Context) (struct{}, error) {
			attempt++
			return struct{}{}, w.do(ctx, attempt%2, &o)
		})
		done()
		o.Return, o.Answered = w.history.Now(), err == nil
		if err != nil && !rpc.IsRetryable(err) && !rpc.IsCanceled(err) { // a refusal: nothing here is wrong with any call
			w.t.Errorf("%+v: %v", o, err)
		}
		w.history.Add(o)
		if o.Kind == chaos.Bang {
			banged = append(banged, o)
		}
		pause(ctx, time.Duration(random.Int64N(int64(betweenCalls))))
	}
}

// do makes one attempt at one replica and writes the answer down.
func (w *wild) do(ctx context.Context, at int, o *chaos.Operation) error {
	switch o.Kind {
	case chaos.Bang:
		response, err := w.bangsAt[at].Bang(ctx, &masterv1.BangRequest{
			RequestId: o.ID, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: "chaos", Target: &masterv1.BangRequest_TreeId{TreeId: o.Tree},
		})
		if err != nil {
			return err
		}
		result := response.GetResults()[0]
		o.BangID, o.Generation = result.GetBangId(), generation(result.GetGeneration())
	case chaos.Request:
		response, err := w.requestsAt[at].RequestInstance(ctx, &masterv1.RequestInstanceRequest{
			RequestId: o.ID, Title: w.roots[o.Tree], SoftwareRelease: hollowRelease, Parameters: map[string]string{"v": o.Value},
		})
		if err != nil {
			return err
		}
		o.Generation, o.Allocation = generation(response.GetInstance().GetGeneration()), response.GetInstance().GetAllocationId()
	case chaos.Read:
		response, err := w.treesAt[at].GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: o.Tree}})
		if err != nil {
			return err
		}
		o.Value, o.Generation = response.GetTree().GetInstances()[0].GetParameters()["v"], generation(response.GetTree().GetGeneration())
	}
	return nil
}

// look watches the colour of the computer that nobody hears of.
func (w *wild) look(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, 2*time.Second)
		w.colour(ctx)
	}
}

func (w *wild) colour(ctx context.Context) {
	name := fmt.Sprint("hollow", chaosNodes)
	attempt, done := context.WithTimeout(ctx, attemptTime)
	defer done()
	response, err := w.computers.GetComputer(attempt, &masterv1.GetComputerRequest{Computer: name})
	if err != nil {
		return
	}
	now := w.history.Now()
	w.history.Add(chaos.Colour{Computer: name, Colour: colourWord(response.GetComputer().GetColour().GetColour()), Silent: now - w.silent, At: now})
}

// harm does something to the fleet every moment, for a time; one thing at a time to each part of it. When it returns everything is healed.
func (w *wild) harm(length time.Duration) {
	faults := w.faults()
	busy := map[string]bool{}
	var mu sync.Mutex
	var under sync.WaitGroup
	for end := w.history.Now() + length; w.history.Now() < end || !w.enough() && w.history.Now() < end+resting; {
		pause(w.t.Context(), 200*time.Millisecond+time.Duration(w.random.Int64N(int64(800*time.Millisecond))))
		f := faults[w.random.IntN(len(faults))]
		lasts := 100*time.Millisecond + time.Duration(w.random.Int64N(int64(2500*time.Millisecond)))
		mu.Lock()
		taken := busy[f.part]
		busy[f.part] = true
		mu.Unlock()
		if taken {
			continue
		}
		under.Go(func() {
			from := w.history.Now()
			f.do(lasts)
			w.history.Add(chaos.Fault{What: f.what, From: from, Until: w.history.Now()})
			mu.Lock()
			defer mu.Unlock()
			busy[f.part] = false
		})
	}
	under.Wait()
}

// enough is whether so much happened that the history says something.
func (w *wild) enough() bool {
	answered, faults, reports := w.history.Count()
	return answered >= leastAnswered && faults >= leastFaults && reports >= leastReports
}

// fault is something that can be done to a part of the fleet.
type fault struct {
	part, what string
	do         func(lasts time.Duration)
}

func (w *wild) faults() []fault {
	var all []fault
	wait := func(lasts time.Duration) { pause(w.t.Context(), lasts) }
	processes := map[string]*process{"svc-promise": w.promise}
	for n := range w.masters {
		processes[fmt.Sprint("svc-master ", n)], processes[fmt.Sprint("svc-scheduler ", n)] = w.masters[n], w.schedulers[n]
	}
	for _, name := range slices.Sorted(maps.Keys(processes)) {
		p := processes[name]
		all = append(all,
			fault{name, "kill -9 " + name, func(time.Duration) { p.restart9() }},
			fault{name, "pause " + name, func(lasts time.Duration) {
				_ = p.command.Process.Signal(syscall.SIGSTOP)
				wait(lasts)
				_ = p.command.Process.Signal(syscall.SIGCONT)
			}})
	}
	for _, name := range slices.Sorted(maps.Keys(w.links)) {
		link := w.links[name]
		all = append(all,
			fault{name, "cut between " + name, func(lasts time.Duration) { link.cut(); wait(lasts); link.heal() }},
			fault{name, "slow between " + name, func(lasts time.Duration) { link.slow(lasts / 20); wait(lasts); link.slow(0) }},
			fault{name, "reset between " + name, func(time.Duration) { link.turn() }})
	}
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		node := w.nodes[name]
		killed := fault{name, "kill -9 " + name, func(lasts time.Duration) { node.killAtWork(lasts); wait(lasts); node.start() }}
		all = append(all, killed, killed, killed) // what it had begun is reported late: that is what tokens are for
	}
	redis := []fault{
		{"redis", killRedis, func(time.Duration) { w.redis.Restart() }},
		{"redis", "pause redis", func(lasts time.Duration) { resume := w.redis.Pause(); wait(lasts); resume() }},
	}
	agent := fault{"agent", "kill -9 svc-node", func(time.Duration) { w.killAgent() }}
	return append(append(append(all, redis...), redis...), agent, agent) // what there is one of has its share
}

// rest waits until all that was acknowledged is done, ends the nodes, and then writes down what is there: nobody but the real agent writes any more, who is no part of the history.
func (w *wild) rest() {
	h := w.history
	ctx, done := context.WithTimeout(w.t.Context(), resting)
	defer done()
	final := chaos.Final{Satisfied: map[string]bool{}, Value: map[string]string{}, Generation: map[string]chaos.Generation{}, Settled: map[string]chaos.Generation{}}
	for open := slices.Clone(w.trees); len(open) > 0; {
		open = slices.DeleteFunc(open, func(tree string) bool { return w.satisfied(ctx, tree, final.Satisfied) })
		if ctx.Err() != nil {
			w.blocked(open)
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	for _, node := range w.nodes {
		node.kill()
	}
	ctx, done = context.WithTimeout(w.t.Context(), resting)
	defer done()
	for _, tree := range w.trees {
		there, err := w.tree(ctx, tree)
		if err != nil {
			w.t.Fatal(err)
		}
		final.Generation[tree] = generation(there.GetGeneration())
		for n, i := range there.GetInstances() {
			if n == 0 {
				final.Value[tree] = i.GetParameters()["v"]
			}
			final.Settled[i.GetAllocationId()] = generation(i.GetStatus().GetSettled())
		}
	}
	w.colour(ctx)
	if w.redis != nil {
		client := w.redis.Client()
		defer client.Close()
		if _, text, ok := strings.Cut(client.Info(ctx, "stats").Val(), "evicted_keys:"); ok {
			text, _, _ = strings.Cut(text, "\r\n")
			final.Evicted, _ = strconv.Atoi(text)
		}
	}
	for _, f := range h.Faults {
		if f.What == killRedis {
			h.Moves++
		}
	}
	h.Final, h.Length = final, h.Now()
}

// satisfied writes down which bangs of a tree are recorded and satisfied; it returns whether all are that make runs.
func (w *wild) satisfied(ctx context.Context, tree string, satisfied map[string]bool) bool {
	response, err := untilAnswered(ctx, func(ctx context.Context) (*masterv1.ListBangsResponse, error) {
		return w.bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: tree, PageSize: 1000})
	})
	if err != nil {
		if ctx.Err() == nil {
			w.t.Error(err)
		}
		return false
	}
	all := true
	for _, b := range response.GetBangs() {
		done := b.GetSatisfiedAt() != nil
		satisfied[b.GetBangId()] = done
		// One that was withheld, of a promise or a process, makes no run; none of the clients' is.
		if !done && (b.GetOutcome() == masterv1.BangOutcome_BANG_OUTCOME_ACCEPTED || b.GetOutcome() == masterv1.BangOutcome_BANG_OUTCOME_JOINED) {
			all = false
		}
	}
	return all
}

func (w *wild) tree(ctx context.Context, id string) (*masterv1.Tree, error) {
	response, err := untilAnswered(ctx, func(ctx context.Context) (*masterv1.GetTreeResponse, error) {
		return w.treesAt[0].GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: id}})
	})
	return response.GetTree(), err
}

// blocked says what each convergence that is still open waits for.
func (w *wild) blocked(open []string) {
	ctx, done := context.WithTimeout(w.t.Context(), patience)
	defer done()
	for _, tree := range open {
		there, err := w.tree(ctx, tree)
		w.t.Logf("after %s a bang of %s is not satisfied: %v, %v", resting, tree, there, err)
	}
	for n := range w.schedulerAt {
		for _, entry := range w.agenda(n) {
			w.t.Logf("agenda at replica %d: %v", n, entry)
		}
	}
	for name, node := range w.nodes {
		node.mu.Lock()
		w.t.Logf("%s has in hand %v", name, node.busy)
		node.mu.Unlock()
	}
}

// agenda is what a replica of svc-scheduler owns.
func (r *replicas) agenda(n int) []*schedulerv1.AgendaEntry {
	client, err := rpc.NewClient(rpc.Target{Address: r.schedulerAt[n]}, rpc.ClientSettings{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	agenda := schedulerv1connect.NewAgendaServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)
	response, err := agenda.ListAgenda(r.t.Context(), &schedulerv1.ListAgendaRequest{})
	if err != nil {
		r.t.Logf("the agenda of replica %d: %v", n, err)
	}
	return response.GetEntries()
}

// judge holds the history against the rules.
func (w *wild) judge() {
	h := w.history
	answered, faults, reports := h.Count()
	w.t.Logf("%d calls, %d of them without an answer; %d orders, %d runs begun, %d reports; %d faults in %.1f s", len(h.Operations), len(h.Operations)-answered, len(h.Orders), len(h.Begins), reports, faults, h.Length.Seconds())
	if answered < leastAnswered || reports < leastReports {
		w.t.Error("too little happened: the test says nothing")
	}
	for _, rule := range chaos.Rules() {
		if broken := rule.Broken(h); broken != nil {
			w.t.Errorf("%s, %d times: %s", rule.Sentence, len(broken), strings.Join(broken[:min(len(broken), 5)], "; "))
		}
	}
	broken, undecided := chaos.Linear(h, linearTime)
	if broken != nil || undecided != nil {
		w.t.Errorf("not linearizable: %v; not decided within %s: %v", broken, linearTime, undecided)
	}
	if w.t.Failed() {
		for _, f := range h.Faults {
			w.t.Log(f)
		}
	}
}

// slow makes everything that gets through later by a time; 0 ends it.
func (r *relay) slow(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = by
}
