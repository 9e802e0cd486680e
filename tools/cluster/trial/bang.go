package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
)

const (
	// bangEvery is a load under which each replacement finds bangs on every part of their way. A tree lists its newest 1,000: a run of 15 minutes stays below them.
	bangEvery = 900 * time.Millisecond
	// callTimeout bounds one call of ours to a service.
	callTimeout = 5 * time.Second
)

// load is who bangs while everything is taken apart.
type load struct {
	stop context.CancelFunc
	done chan struct{}
	from *http.Client
	// answered is how many were acknowledged until now.
	answered atomic.Int64
	// What follows is read when done is closed.
	acknowledged []acknowledgement
	refused      int
	longest      time.Duration
	err          error
}

// acknowledgement is what a caller was told of its bang.
type acknowledgement struct {
	BangID     string
	Generation struct{ Epoch, Number json.Number }
}

// service is where a Service answers on this node.
func (t *Trial) service(ctx context.Context, name string, port int) (string, error) {
	var s struct{ Spec struct{ ClusterIP string } }
	err := t.Get(ctx, namespace+"/services/"+name, &s)
	return fmt.Sprintf("http://%s:%d", s.Spec.ClusterIP, port), err
}

// call calls an RPC of svc-master as curl does: Connect, JSON.
func call(ctx context.Context, from *http.Client, base, method string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/vow.master.v1."+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	post.Header.Set("Content-Type", "application/json")
	// A connection of its own each time, which the proxy gives to any replica.
	post.Close = true
	answer, err := from.Do(post)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return &api.Refused{Status: answer.StatusCode, Message: string(content)}
	}
	return json.Unmarshal(content, response)
}

// smoke is what we read of a tree.
type smoke struct {
	TreeID, Title string
	Generation    struct{ Epoch, Number json.Number }
}

// smokeTree is the tree of smoke.sh.
func smokeTree(ctx context.Context, from *http.Client, base string) (tree smoke, err error) {
	var list struct{ Trees []smoke }
	err = call(ctx, from, base, "TreeService/ListTrees", map[string]any{}, &list)
	for _, tree := range list.Trees {
		if tree.Title == "smoke" {
			return tree, nil
		}
	}
	return tree, errors.Join(fmt.Errorf("cannot find the tree smoke among %d", len(list.Trees)), err)
}

// caller is who bangs, where svc-master is, and the tree of the smoke test.
func (t *Trial) caller(ctx context.Context) (from *http.Client, base string, tree smoke, err error) {
	if base, err = t.service(ctx, "svc-master", 7711); err != nil {
		return nil, "", smoke{}, err
	}
	if from, err = t.callers(ctx); err != nil {
		return nil, "", smoke{}, err
	}
	tree, err = smokeTree(ctx, from, base)
	return from, base, tree, err
}

// beginBangs bangs the tree of the smoke test until endBangs, each bang until it is acknowledged.
func (t *Trial) beginBangs(ctx context.Context) (string, error) {
	from, base, tree, err := t.caller(ctx)
	if err != nil {
		return "", err
	}
	going, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.bangs = &load{stop: stop, done: make(chan struct{}), from: from}
	go t.bangs.run(going, base, tree.TreeID)
	return fmt.Sprintf("one each %s, tree %s", bangEvery, tree.TreeID), nil
}

func (l *load) run(ctx context.Context, base, tree string) {
	defer close(l.done)
	tick := time.NewTicker(bangEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		request := map[string]any{"requestId": fmt.Sprintf("trial-%d", n), "origin": "BANG_ORIGIN_MANUAL", "source": "trial", "treeId": tree}
		for began := time.Now(); ; {
			var response struct{ Results []acknowledgement }
			// It is asked again after the end, too, if the answer is not known: the request's id makes it the same bang.
			err := call(context.WithoutCancel(ctx), l.from, base, "BangService/Bang", request, &response)
			if err == nil && len(response.Results) == 1 {
				l.acknowledged = append(l.acknowledged, response.Results[0])
				l.answered.Add(1)
				l.longest = max(l.longest, time.Since(began))
				break
			}
			l.refused++
			if waited := time.Since(began); waited > time.Minute {
				l.err = fmt.Errorf("bang %d was not acknowledged within %.0f s: %w", n, waited.Seconds(), err)
				return
			}
			<-tick.C
		}
	}
}

// endBangs stops banging and waits until every acknowledged bang is satisfied.
func (t *Trial) endBangs(ctx context.Context) (string, error) {
	if t.bangs == nil {
		return "", errors.New("cannot look for bangs: none was sent")
	}
	l := t.bangs
	l.stop()
	select {
	case <-l.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if l.err != nil {
		return "", l.err
	}
	from, base, tree, err := t.caller(ctx)
	if err != nil {
		return "", err
	}
	gone := 0
	err = api.Await(ctx, "every bang to be satisfied", func() (bool, error) {
		satisfied := map[string]bool{}
		token := ""
		for {
			var list struct {
				Bangs         []struct{ BangID, SatisfiedAt string }
				NextPageToken string
			}
			if err := call(ctx, from, base, "BangService/ListBangs", map[string]any{"treeId": tree.TreeID, "pageSize": 1000, "pageToken": token}, &list); err != nil {
				return false, err
			}
			for _, b := range list.Bangs {
				satisfied[b.BangID] = b.SatisfiedAt != ""
			}
			if token = list.NextPageToken; token == "" {
				break
			}
		}
		open := 0
		gone = 0
		for _, a := range l.acknowledged {
			done, there := satisfied[a.BangID]
			switch {
			case !there && a.Generation.Epoch != tree.Generation.Epoch:
				gone++ // the fail-over that lost it has moved the epoch: docs/store.md
			case !done:
				open++
			}
		}
		return open == 0, fmt.Errorf("%d of %d are not satisfied", open, len(l.acknowledged))
	})
	return fmt.Sprintf("%d acknowledged, %d calls made again, the longest acknowledgement took %.1f s; %d gone with a fail-over that says so by the epoch, all others satisfied", len(l.acknowledged), l.refused, l.longest.Seconds(), gone), err
}
