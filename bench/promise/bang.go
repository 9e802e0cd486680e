package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/bench/report"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// measureBang records a failing group, and waits until its bang is at svc-master: sockets of this machine, a real Redis behind svc-promise.
func measureBang(ctx context.Context, short bool, r *report.Report) (err error) {
	bangs := 1000
	if short {
		bangs = 200
	}
	f, err := startFleet(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	send, _, err := f.open(ctx, "bench")
	if err != nil {
		return err
	}
	var took []time.Duration
	for i := range bangs {
		failing := i + 1
		recorded := time.Now()
		err := send(&promisev1.SenseRequest{Batch: uint64(failing), Allocations: []*promisev1.AllocationGroups{{
			Runs: &promisev1.PartitionRuns{AllocationId: "t0123456789ab.a1", Partition: "slappart0", LatestSuccess: true, LastSuccessRunId: time.Now().String()},
			Groups: []*typev1.SenseGroup{{
				Promise: "listening", Sequence: uint64(failing), Previous: uint64(failing - 1), At: timestamppb.Now(), Kind: typev1.PromiseKind_PROMISE_KIND_BUILTIN,
				Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: "port 80 refuses"}},
			}},
		}}})
		if err != nil {
			return err
		}
		select {
		case at := <-f.bangs:
			took = append(took, at.Sub(recorded))
		case <-time.After(5 * time.Second):
			return errors.New("no bang within 5 s")
		}
	}
	r.AtMost("group recorded until the bang arrives p50 ms", report.Percentile(took, 50), 0, 20)
	r.AtMost("group recorded until the bang arrives p99 ms", report.Percentile(took, 99), 0, 20)
	return nil
}
