package redisstore

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// The zero value of a time, duration, generation or trace is an unset field, and back.

func timeRecord(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(r *timestamppb.Timestamp) time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.AsTime()
}

func durationRecord(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func generationRecord(g fleet.Generation) *typev1.Generation {
	if g.IsZero() {
		return nil
	}
	return &typev1.Generation{Epoch: g.Epoch, Number: g.Number}
}

func generationOf(r *typev1.Generation) fleet.Generation {
	return fleet.Generation{Epoch: r.GetEpoch(), Number: r.GetNumber()}
}

func traceRecord(t fleet.Trace) *typev1.TraceContext {
	if t == (fleet.Trace{}) {
		return nil
	}
	return &typev1.TraceContext{Traceparent: t.Traceparent, Tracestate: t.Tracestate, Baggage: t.Baggage}
}

func traceOf(r *typev1.TraceContext) fleet.Trace {
	return fleet.Trace{Traceparent: r.GetTraceparent(), Tracestate: r.GetTracestate(), Baggage: r.GetBaggage()}
}
