package main

import (
	"context"
	"time"

	"github.com/vow-os/vow/bench/load"
)

// begin starts a control plane of its own and makes a fleet on it, whose nodes connect has come; end ends both.
func begin(ctx context.Context, o load.Options, s load.Shape, w load.Watch) (fleet *load.Fleet, end func(), err error) {
	plane, err := load.StartPlane(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	fleet, err = load.Make(ctx, plane, s, w)
	end = func() {
		fleet.Close()
		plane.Close()
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return fleet, end, nil
}

// connect has the nodes come one after the other, and waits until all have their streams and every partition ran.
func connect(ctx context.Context, fleet *load.Fleet, every time.Duration) error {
	if err := fleet.Connect(ctx, time.Duration(len(fleet.Nodes))*every); err != nil {
		return err
	}
	return fleet.Settle(ctx)
}
