package real

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vow-os/vow/kit/store/storetest"
	"github.com/vow-os/vow/sim/chaos"
)

// engineTrees is how many trees are called under when the store fails over.
const engineTrees = 6

// beginDirect has nothing between any two of them: the agent knows the addresses of both replicas.
func beginDirect(t *testing.T, url string) *replicas {
	t.Helper()
	return beginReplicasOn(t, func(string) string { return url }, func(_, _, address string) string { return address }, false)
}

// TestAFailOverLosesNothingSilently kills the primary of a Redis with Sentinels twice, under calls and with runs in progress; the second time its replica has had nothing for a moment, so that what was acknowledged meanwhile is gone. What is gone
// was acknowledged in an older epoch than the one that the tree is in; everything else is there, all partitions run in the new epoch, no id is given twice, and no run is told less than a run before it.
func TestAFailOverLosesNothingSilently(t *testing.T) {
	servers := storetest.StartSentinel(t, 3)
	w := wildOn(beginDirect(t, servers.URL()), 1)
	w.plant(engineTrees)
	w.history.Lossy = true
	failOver := func() {
		from := w.history.Now()
		servers.FailOver()
		w.history.Add(chaos.Fault{What: killRedis, From: from, Until: w.history.Now()})
		w.answered(50)
	}
	w.under(1, func() {
		w.answered(50)
		failOver()
		servers.Rejoin()
		_, heir := servers.Primary()
		client := heir.Client()
		defer client.Close()
		if err := client.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil { // it is told nothing any more
			t.Error(err)
		}
		w.answered(50)
		failOver()
	})
	w.rest()
	w.judge()
	w.lostSome()
}

// TestARestoredBackupIsTakenUpByTheWholeFleet restores a backup, made under calls, into the emptied Redis: what was acknowledged after it is gone, told by the epoch; all partitions run anew, and nobody is given what was given out since.
func TestARestoredBackupIsTakenUpByTheWholeFleet(t *testing.T) {
	redis := storetest.StartRedis(t)
	w := wildOn(beginDirect(t, redis.URL()), 1)
	w.plant(engineTrees)
	w.history.Lossy = true
	operator := redis.Open(t)
	path := filepath.Join(t.TempDir(), "backup")
	w.under(1, func() {
		w.answered(50)
		if _, err := operator.Backup(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
		w.answered(50)
		services := append(append([]*process{w.promise}, w.schedulers...), w.masters...)
		for _, p := range services {
			p.kill9()
		}
		if err := operator.Redis().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := operator.Restore(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
		w.history.Moves++
		for _, p := range slices.Backward(services) {
			p.start()
		}
		w.answered(50)
	})
	w.rest()
	w.judge()
	w.lostSome()
}

// lostSome fails a test that says nothing, because no acknowledged bang is gone.
func (w *wild) lostSome() {
	w.t.Helper()
	gone := 0
	for _, o := range w.history.Operations {
		if _, there := w.history.Final.Satisfied[o.BangID]; o.Kind == chaos.Bang && o.Answered && !there {
			gone++
		}
	}
	w.t.Logf("%d acknowledged bangs are gone", gone)
	if gone == 0 {
		w.t.Error("nothing was lost: the test says nothing")
	}
}

// TestTheFleetRunsOnARedisCluster runs everything on three masters, kills one of them with -9 under calls and starts it again: nothing that was acknowledged is lost.
func TestTheFleetRunsOnARedisCluster(t *testing.T) {
	cluster := storetest.StartCluster(t)
	w := wildOn(beginDirect(t, cluster.URL()), 1)
	w.plant(engineTrees)
	w.under(1, func() {
		w.answered(50)
		from := w.history.Now()
		cluster.Nodes[1].Kill9()
		pause(t.Context(), time.Second)
		cluster.Nodes[1].Restart()
		w.history.Add(chaos.Fault{What: killRedis, From: from, Until: w.history.Now()})
		w.answered(100)
	})
	w.rest()
	w.judge()
}

// answered waits until so many more calls were answered.
func (w *wild) answered(more int) {
	w.t.Helper()
	before, _, _ := w.history.Count()
	for deadline := w.history.Now() + resting; ; {
		now, _, _ := w.history.Count()
		if now >= before+more {
			return
		}
		if w.history.Now() > deadline {
			w.t.Errorf("in %s %d calls were answered, want %d", resting, now-before, more)
			return
		}
		pause(context.Background(), 20*time.Millisecond)
	}
}
