package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// sendWithin is how long one message to a follower or watcher may take; a peer that does not read is cut, and comes back.
const sendWithin = 10 * time.Second

// send sends one message of a stream, within sendWithin.
func send[M any](ctx context.Context, stream *connect.ServerStream[M], message *M) error {
	return rpc.SendWithin(ctx, sendWithin, func() error { return stream.Send(message) })
}

// watchers wakes those who watch a computer's desired state. One mailbox serves all of them: a thousand nodes must not each
// look through the whole feed.
type watchers struct {
	mu        sync.Mutex // never held while anything waits
	computers map[string]map[*watcher]struct{}
	trees     map[string]map[*watcher]struct{}
}

// watcher is one open WatchDesired.
type watcher struct {
	computer string
	trees    []string
	wake     chan struct{} // holds one when it should look again
}

func newWatchers() *watchers {
	return &watchers{computers: map[string]map[*watcher]struct{}{}, trees: map[string]map[*watcher]struct{}{}}
}

func (w *watchers) add(computer string) *watcher {
	one := &watcher{computer: computer, wake: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	put(w.computers, computer, one)
	return one
}

func (w *watchers) remove(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	drop(w.computers, one.computer, one)
	for _, treeID := range one.trees {
		drop(w.trees, treeID, one)
	}
}

// on says which trees a watcher looks at now. When they are others than before it looks again: what happened to them
// between its look and now woke nobody.
func (w *watchers) on(one *watcher, trees []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Equal(one.trees, trees) {
		return
	}
	defer wake(map[*watcher]struct{}{one: {}})
	for _, treeID := range one.trees {
		drop(w.trees, treeID, one)
	}
	one.trees = trees
	for _, treeID := range trees {
		put(w.trees, treeID, one)
	}
}

func put(in map[string]map[*watcher]struct{}, key string, one *watcher) {
	if in[key] == nil {
		in[key] = map[*watcher]struct{}{}
	}
	in[key][one] = struct{}{}
}

func drop(in map[string]map[*watcher]struct{}, key string, one *watcher) {
	delete(in[key], one)
	if len(in[key]) == 0 {
		delete(in, key)
	}
}

func wake(set map[*watcher]struct{}) {
	for one := range set {
		select {
		case one.wake <- struct{}{}:
		default:
		}
	}
}

// Keep wakes watchers until ctx ends.
func (a *API) Keep(ctx context.Context) error {
	interest := redisstore.Interest{
		Computers: true,
		Entries: func(e *masterv1.FeedEntry) bool {
			return e.GetKind() == masterv1.FeedEntryKind_FEED_ENTRY_KIND_CHANGED
		},
	}
	box := a.Store.Subscribe(interest)
	defer func() { box.Close() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-box.Ready():
		}
		news, alive := box.Take()
		if !alive {
			box = a.Store.Subscribe(interest)
		}
		a.watchers.tell(news, !alive)
	}
}

// tell wakes those concerned, or all when it is not known who is.
func (w *watchers) tell(news redisstore.News, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if all || len(news.Rescan) > 0 {
		for _, set := range w.computers {
			wake(set)
		}
		return
	}
	for _, e := range news.Entries {
		wake(w.trees[e.GetTreeId()])
	}
	for _, name := range news.Computers {
		wake(w.computers[name])
	}
}
