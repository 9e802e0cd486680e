package vowclient

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// fake is a svc-master of one tree with one instance, in virtual time. Each change wakes the streams.
type fake struct {
	mu      sync.Mutex
	changed chan struct{}

	tree        *masterv1.Tree
	gone        bool
	convergence *masterv1.Convergence
	// down is what every call and every open stream gets.
	down error
	// deaf: streams open and never say anything.
	deaf bool

	requests, looks, streams int
	keys                     map[string]int
}

func newFake() *fake {
	return &fake{
		changed: make(chan struct{}), keys: map[string]int{},
		tree: &masterv1.Tree{TreeId: "t1", Title: "shop", Colour: &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: "web has not run yet"}, Instances: []*masterv1.Instance{{
			InstanceId: "t1.i1", TreeId: "t1", Title: "shop", AllocationId: "t1.a1", State: typev1.RequestedState_REQUESTED_STATE_STARTED,
			Status: &masterv1.PartitionStatus{Wanted: &typev1.Generation{Epoch: 1, Number: 1}},
		}}},
		convergence: &masterv1.Convergence{ConvergenceId: "t1.c1", State: masterv1.ConvergenceState_CONVERGENCE_STATE_OPEN, Members: []*masterv1.ConvergenceMember{{Title: "shop", Computer: "one", Partition: "p0"}}},
	}
}

func unavailable(text string) error {
	return connect.NewError(connect.CodeUnavailable, fmt.Errorf("%s", text))
}

// change changes something and wakes the streams.
func (f *fake) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

// settle is a successful run.
func (f *fake) settle() {
	f.change(func() {
		status := f.tree.GetInstances()[0].GetStatus()
		status.Settled = status.GetWanted()
		f.tree.Colour = &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN}
	})
}

func (f *fake) client() *Client {
	return &Client{master{
		request: func(_ context.Context, r *masterv1.RequestInstanceRequest) (*masterv1.RequestInstanceResponse, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.requests++
			f.keys[r.GetRequestId()]++
			if f.down != nil {
				return nil, f.down
			}
			return &masterv1.RequestInstanceResponse{Instance: clone(f.tree.GetInstances()[0])}, nil
		},
		bang: func(_ context.Context, r *masterv1.BangRequest) (*masterv1.BangResponse, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.keys[r.GetRequestId()]++
			if f.down != nil {
				return nil, f.down
			}
			return &masterv1.BangResponse{Results: []*masterv1.BangResult{{BangId: "t1.b1", ConvergenceId: "t1.c1"}}}, nil
		},
		getTree: func(context.Context, *masterv1.GetTreeRequest) (*masterv1.GetTreeResponse, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.looks++
			switch {
			case f.down != nil:
				return nil, f.down
			case f.gone:
				return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("cannot find tree t1"))
			}
			return &masterv1.GetTreeResponse{Tree: clone(f.tree)}, nil
		},
		watchTree: func(ctx context.Context, _ *masterv1.WatchTreeColoursRequest, do func(*masterv1.WatchTreeColoursResponse) bool) error {
			return f.stream(ctx, func() bool {
				r := &masterv1.WatchTreeColoursResponse{TreeId: "t1", Colour: f.tree.GetColour()}
				for _, i := range f.tree.GetInstances() {
					r.Instances = append(r.Instances, &masterv1.InstanceColour{InstanceId: i.GetInstanceId(), Settled: Settled(i)})
				}
				return do(r)
			})
		},
		watchConvergence: func(ctx context.Context, _ *masterv1.WatchConvergenceRequest, do func(*masterv1.WatchConvergenceResponse) bool) error {
			return f.stream(ctx, func() bool {
				return do(&masterv1.WatchConvergenceResponse{Convergence: clone(f.convergence)}) && f.convergence.GetClosedAt() == nil
			})
		},
	}}
}

// stream says what is, now and at each change, until say answers false.
func (f *fake) stream(ctx context.Context, say func() bool) error {
	f.mu.Lock()
	f.streams++
	f.mu.Unlock()
	for {
		f.mu.Lock()
		changed, err, more := f.changed, f.down, true
		if err == nil && !f.deaf {
			more = say()
		}
		f.mu.Unlock()
		switch {
		case err != nil:
			return err
		case !more:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// after runs something at a virtual time from now on.
func after(d time.Duration, do func()) { time.AfterFunc(d, do) }
