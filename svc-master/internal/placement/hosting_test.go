package placement_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/svc-master/fleet"
	"github.com/vow-os/vow/svc-master/internal/placement"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// frontend is a host in a tree of its own, tfront, and trees whose shared instances it hosts.
type frontend struct {
	testing.TB
	store  *redisstore.Store
	placer *placement.Placer
	shared []string
	runs   int
}

// step lets an event happen in a tree, and what follows.
func (f *frontend) step(treeID string, e fleet.Event) (answer fleet.Answer) {
	f.Helper()
	done, err := f.store.Update(f.Context(), redisstore.Change{Tree: treeID, Account: "default", Decide: func(t *fleet.Tree, now time.Time) (_ proto.Message, fx fleet.Effects, err error) {
		answer, fx, err = t.Step(e, now)
		return nil, fx, err
	}})
	if err == nil {
		err = f.placer.Settle(f.Context(), done.Effects)
	}
	if err != nil {
		f.Fatalf("%T: %v", e, err)
	}
	return answer
}

// open requests the host, and so many shared instances in each of so many trees.
func open(t testing.TB, redis *store.Store, trees, each int) *frontend {
	t.Helper()
	s, placer := begin(t, redis)
	f := &frontend{TB: t, store: s, placer: placer}
	register(t, s, "one", 1)
	f.step("tfront", fleet.Request{Title: "front", Release: release})
	for n := range trees {
		f.share(fmt.Sprint("tsite", n), each)
	}
	return f
}

// share makes a tree with so many shared instances of the host, in one commit; the host hears of them when somebody carries the word.
func (f *frontend) share(treeID string, each int) {
	f.Helper()
	var shared []string
	done, err := f.store.Update(f.Context(), redisstore.Change{Tree: treeID, Account: "default", Decide: func(t *fleet.Tree, now time.Time) (_ proto.Message, all fleet.Effects, err error) {
		shared = nil
		step := func(e fleet.Event) fleet.Answer {
			answer, fx, refused := t.Step(e, now)
			err = errors.Join(err, refused)
			all.Merge(fx)
			return answer
		}
		step(fleet.Request{Title: treeID, Release: "file:///site"})
		for k := range each {
			answer, _ := step(fleet.Request{Title: fmt.Sprint("www", k), RequesterID: t.RootID, Release: release, Shared: true, Parameters: map[string]string{"backend": "http://b"}}).(fleet.RequestAnswer)
			step(fleet.TakeHost{SharedID: answer.InstanceID, HostID: "tfront.i1"})
			shared = append(shared, answer.InstanceID)
		}
		return nil, all, err
	}})
	f.shared = append(f.shared, shared...)
	if err == nil {
		done.Place = nil
		err = f.placer.Settle(f.Context(), done.Effects)
	}
	if err != nil {
		f.Fatal(err)
	}
}

// run runs the host.
func (f *frontend) run(result fleet.Result) {
	f.Helper()
	f.runs++
	id := fmt.Sprint("run", f.runs)
	begun, _ := f.step("tfront", fleet.BeginRun{AllocationID: "tfront.a1", RunID: id}).(fleet.BeginRunAnswer)
	f.step("tfront", fleet.ReportRun{AllocationID: "tfront.a1", RunID: id, Token: begun.Token, Result: result, ErrorType: "promise"})
}

// served waits until all are served, or until none is.
func (f *frontend) served(want bool) {
	f.Helper()
	for _, id := range f.shared {
		for is := !want; is != want; {
			err := f.store.View(f.Context(), fleet.TreeID(id), func(t *fleet.Tree, _ time.Time) error {
				is = t.Instances[id].Word.Unserved == ""
				return nil
			})
			if err != nil {
				f.Fatal(err)
			}
			if is != want {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// heard waits until the host has heard of all.
func (f *frontend) heard() {
	f.Helper()
	for hosted := -1; hosted != len(f.shared); time.Sleep(time.Millisecond) {
		err := f.store.View(f.Context(), "tfront", func(t *fleet.Tree, _ time.Time) error {
			hosted = len(t.Hosted)
			return nil
		})
		if err != nil {
			f.Fatal(err)
		}
	}
}

// keep runs KeepHosted until the end of the test, and waits until the host has heard of all.
func (f *frontend) keep() {
	f.Helper()
	f.carry()
	f.heard()
}

// carry runs KeepHosted until the end of the test.
func (f *frontend) carry() {
	ctx, cancel := context.WithCancel(f.Context())
	ended := make(chan error)
	go func() { ended <- f.placer.KeepHosted(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
}

// calls counts the scripts that change a tree, and the readings of any.
type calls struct {
	tree              string // empty = any
	changed, readings atomic.Int64
}

func (c *calls) count(cmd redis.Cmder) {
	args := cmd.Args()
	for _, arg := range args[1:min(len(args), 4)] {
		key, _ := arg.(string)
		switch {
		case !strings.Contains(key, "}t:"+c.tree) || c.tree != "" && !strings.HasSuffix(key, c.tree):
		case strings.HasPrefix(cmd.Name(), "eval"):
			c.changed.Add(1)
		default:
			c.readings.Add(1)
		}
	}
}

func (c *calls) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *calls) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count(cmd)
		return next(ctx, cmd)
	}
}

func (c *calls) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			c.count(cmd)
		}
		return next(ctx, cmds)
	}
}

// A host that turns tells all that one tree has of it in one commit of that tree, not in one for each.
func TestAHostThatTurnsIsOneCommitOfATreeThatSharesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := storetest.Embedded(t)
		f := open(t, on, 1, 100)
		f.keep()
		f.run(fleet.Success)
		f.served(true)
		counted := &calls{tree: "tsite0"}
		on.Redis().AddHook(counted)
		f.run(fleet.Failure)
		f.served(false)
		synctest.Wait()
		if n := counted.changed.Load(); n != 1 {
			t.Errorf("the tree of 100 shared instances was changed %d times when their host turned, want once", n)
		}
		f.run(fleet.Success)
		f.served(true)
	})
}

// Choosing a host reads the trees that have one, whatever else is on its computer.
func TestChoosingAHostReadsTheTreesThatHaveOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := storetest.Embedded(t)
		f := open(t, on, 1, 1)
		register(t, f.store, "one", 2) // another instance on the same computer
		f.step("tother", fleet.Request{Title: "other", Release: release, Type: "another"})
		f.step("tsite0", fleet.Request{Title: "first", RequesterID: "tsite0.i1", Release: release, Shared: true}) // all trees are read once
		other, host := &calls{tree: "tother"}, &calls{tree: "tfront"}
		on.Redis().AddHook(other)
		on.Redis().AddHook(host)
		f.step("tsite0", fleet.Request{Title: "more", RequesterID: "tsite0.i1", Release: release, Shared: true})
		if other.readings.Load() != 0 || host.readings.Load()+host.changed.Load() == 0 {
			t.Errorf("%d readings of a tree without a host, %d of the one with it", other.readings.Load(), host.readings.Load()+host.changed.Load())
		}
	})
}

// What another process commits is in the index soon: a host that it allocates, and one that became of another type.
func TestAHostOfAnotherReplicaIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := storetest.Embedded(t)
		f := open(t, on, 1, 0)
		other, _ := begin(t, on)
		key := fleet.HostKey{Account: "default", Release: release, Type: "default"}
		has := func(key fleet.HostKey, want int) {
			t.Helper()
			if hosts, err := other.Hosts(t.Context(), key); err != nil || len(hosts) != want {
				t.Errorf("hosts of %v are %v, %v, want %d", key, hosts, err, want)
			}
		}
		has(key, 1)
		register(t, f.store, "two", 1)
		f.step("tsecond", fleet.Request{Title: "second", Release: release})
		time.Sleep(2 * time.Minute) // nothing tells a second process of an embedded store of writes: it looks each minute
		has(key, 2)
		f.step("tsecond", fleet.Request{Title: "second", Release: release, Type: "another"})
		time.Sleep(2 * time.Minute)
		has(key, 1)
		key.Type = "another"
		has(key, 1)
	})
}

// What a process that died left between two commits is finished by the next one as it starts.
func TestWhatACrashLeftOfASharedInstanceIsFinishedAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := storetest.Embedded(t)
		f := open(t, on, 1, 3)
		_, next := begin(t, on) // nobody carried the word of the first one
		f.placer = next
		f.carry()
		defer reconciling(t, next)()
		time.Sleep(time.Second) // long before the first sweep
		f.run(fleet.Success)
		f.served(true)
	})
}

// One host has 500 shared instances and 1 MiB of what they ask for; the next one is told exactly that, and gets a place when there is room.
func TestAHostHasNoMoreThanItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, storetest.Embedded(t), 1, fleet.MaxHosted)
		f.keep()
		more := func(title string, parameters map[string]string) (id, reason string) {
			answer, _ := f.step("tsite0", fleet.Request{Title: title, RequesterID: "tsite0.i1", Release: release, Shared: true, Parameters: parameters}).(fleet.RequestAnswer)
			err := f.store.View(t.Context(), "tsite0", func(t *fleet.Tree, _ time.Time) error {
				reason = t.Instances[answer.InstanceID].Unallocated
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return answer.InstanceID, reason
		}
		waits, reason := more("one too many", nil)
		if want := `"front" (tfront.i1) has 500 shared instances, the most there may be`; reason != want {
			t.Errorf("it waits since %q, want %q", reason, want)
		}
		defer reconciling(t, f.placer)()
		f.step("tsite0", fleet.SetState{InstanceID: f.shared[0], State: fleet.Destroyed})
		time.Sleep(time.Second)
		err := f.store.View(t.Context(), "tsite0", func(tree *fleet.Tree, _ time.Time) error {
			if i := tree.Instances[waits]; i.Host != "tfront.i1" {
				t.Errorf("with room for one it is hosted by %q, since %q", i.Host, i.Unallocated)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range f.shared[1:100] {
			f.step("tsite0", fleet.SetState{InstanceID: id, State: fleet.Destroyed})
		}
		time.Sleep(time.Second)
		for n := 0; ; n++ {
			_, reason := more(fmt.Sprint("large", n), map[string]string{"large": strings.Repeat("x", fleet.MaxParameters-5)})
			if reason == "" && n < 16 {
				continue
			}
			if n != 15 || !strings.Contains(reason, "bytes of parameters of shared instances, more than 1048576") {
				t.Errorf("the %dth with 64 KiB of parameters waits since %q, want the 16th, which does not fit", n+1, reason)
			}
			return
		}
	})
}

// What a host that turns Red and Green again costs, at the store's API on a real server with appendfsync always: 500 shared instances of one tree, and of 500.
func BenchmarkAHostTurns(b *testing.B) {
	for _, trees := range []int{1, fleet.MaxHosted} {
		b.Run(fmt.Sprintf("trees=%d", trees), func(b *testing.B) {
			on := storetest.StartRedis(b).Open(b)
			f := open(b, on, trees, fleet.MaxHosted/trees)
			f.keep()
			f.run(fleet.Success)
			f.served(true)
			counted := &calls{}
			on.Redis().AddHook(counted)
			b.ResetTimer()
			for range b.N {
				f.run(fleet.Failure)
				f.served(false)
				f.run(fleet.Success)
				f.served(true)
			}
			b.ReportMetric(float64(counted.changed.Load())/float64(2*b.N), "commits/turn")
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(2*b.N), "ms/turn")
		})
	}
}
