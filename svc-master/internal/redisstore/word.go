package redisstore

import (
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// GenerationRecord is a generation as a message has it, here and in the contract; the zero generation is nil.
func GenerationRecord(g fleet.Generation) *typev1.Generation {
	if g.IsZero() {
		return nil
	}
	return &typev1.Generation{Epoch: g.Epoch, Number: g.Number}
}

// GenerationOf is the inverse of GenerationRecord.
func GenerationOf(r *typev1.Generation) fleet.Generation {
	return fleet.Generation{Epoch: r.GetEpoch(), Number: r.GetNumber()}
}

// TraceRecord is a trace context as a message has it; none is nil.
func TraceRecord(t fleet.Trace) *typev1.TraceContext {
	if t == (fleet.Trace{}) {
		return nil
	}
	return &typev1.TraceContext{Traceparent: t.Traceparent, Tracestate: t.Tracestate, Baggage: t.Baggage}
}

// TraceOf is the inverse of TraceRecord.
func TraceOf(r *typev1.TraceContext) fleet.Trace {
	return fleet.Trace{Traceparent: r.GetTraceparent(), Tracestate: r.GetTracestate(), Baggage: r.GetBaggage()}
}
