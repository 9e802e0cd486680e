package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/bench/report"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// What one stream carries: a node of 50 partitions with 20 promises each, which sent 20 groups of a partition at once.
const (
	streamAllocations = 50
	streamPromises    = 20
	// streamAhead batches are sent before one is acknowledged: the node's own bound is larger.
	streamAhead = 64
)

// measureStream sends batches as fast as they are acknowledged, over a socket of this machine; sender, service and Redis share its processors.
func measureStream(ctx context.Context, short bool, r *report.Report) (err error) {
	lasting := 10 * time.Second
	if short {
		lasting = 4 * time.Second
	}
	f, err := startFleet(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	send, acks, err := f.open(ctx, "bench")
	if err != nil {
		return err
	}
	request := streamRequest()
	groups := streamAllocations * streamPromises
	used := processor()
	began, batch, acknowledged := time.Now(), uint64(0), uint64(0)
	for time.Since(began) < lasting || acknowledged < batch {
		if time.Since(began) < lasting && batch-acknowledged < streamAhead {
			batch++
			advance(request, batch)
			if err := send(request); err != nil {
				return fmt.Errorf("cannot send: %w", err)
			}
			select {
			case acknowledged = <-acks:
			default:
			}
			continue
		}
		n, ok := <-acks
		if !ok {
			return errors.New("the stream ended")
		}
		acknowledged = n
	}
	took := time.Since(began)
	r.Note("stream: %.1f µs of processor a group, sender and service together, on a machine of %d", float64((processor()-used).Microseconds())/(float64(groups)*float64(batch)), runtime.NumCPU())
	r.AtLeast("groups a second over one stream, acknowledged", float64(groups)*float64(batch)/took.Seconds(), 0, 300_000)
	return nil
}

// streamRequest is a batch of passing groups with a value and a message.
func streamRequest() *promisev1.SenseRequest {
	r := &promisev1.SenseRequest{}
	for a := range streamAllocations {
		one := &promisev1.AllocationGroups{Runs: &promisev1.PartitionRuns{
			AllocationId: fmt.Sprintf("t0123456789ab.a%d", a+1), Partition: fmt.Sprintf("slappart%d", a), LatestSuccess: true, LastSuccessRunId: "01900000-0000-7000-8000-000000000000",
		}}
		for p := range streamPromises {
			value := 1.5
			one.Groups = append(one.Groups, &typev1.SenseGroup{
				Promise: fmt.Sprintf("promise-%02d", p), DurationSeconds: 0.001, Kind: typev1.PromiseKind_PROMISE_KIND_BUILTIN, PeriodSeconds: 120, Value: &value,
				At: timestamppb.Now(), Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: "port 80 is listening"}},
			})
		}
		r.Allocations = append(r.Allocations, one)
	}
	return r
}

// advance makes the next groups of the same promises.
func advance(r *promisev1.SenseRequest, batch uint64) {
	r.Batch = batch
	now := timestamppb.Now()
	for _, a := range r.GetAllocations() {
		for _, g := range a.GetGroups() {
			g.Sequence, g.Previous, g.At = batch, batch-1, now
		}
	}
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
