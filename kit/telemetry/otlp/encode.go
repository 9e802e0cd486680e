package otlp

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of opentelemetry/proto/trace/v1 and common/v1, which are stable.
const (
	resourceAttributes = 1
	scopeAttributes    = 3
	scopeSpans         = 2

	spanTraceID           = 1
	spanID                = 2
	spanTraceState        = 3
	spanParentID          = 4
	spanName              = 5
	spanKind              = 6
	spanStart             = 7
	spanEnd               = 8
	spanAttributes        = 9
	spanDroppedAttributes = 10
	spanEvents            = 11
	spanDroppedEvents     = 12
	spanLinks             = 13
	spanDroppedLinks      = 14
	spanStatus            = 15
	spanFlags             = 16

	eventTime              = 1
	eventName              = 2
	eventAttributes        = 3
	eventDroppedAttributes = 4

	linkTraceID           = 1
	linkSpanID            = 2
	linkAttributes        = 4
	linkDroppedAttributes = 5
	linkFlags             = 6

	statusMessage = 2
	statusCode    = 3

	pairKey   = 1
	pairValue = 2

	valueString = 1
	valueBool   = 2
	valueInt    = 3
	valueDouble = 4
	valueArray  = 5
	valueMap    = 6
	valueBytes  = 7

	arrayValues = 1
	mapPairs    = 1
)

// appendSpan appends a span as a field of a ScopeSpans.
func appendSpan(b []byte, span sdktrace.ReadOnlySpan) []byte {
	return appendMessage(b, scopeSpans, func(b []byte) []byte {
		sc, parent, status := span.SpanContext(), span.Parent(), span.Status()
		traceID, id := sc.TraceID(), sc.SpanID()
		b = appendBytes(b, spanTraceID, traceID[:])
		b = appendBytes(b, spanID, id[:])
		b = appendText(b, spanTraceState, sc.TraceState().String())
		if above := parent.SpanID(); above.IsValid() {
			b = appendBytes(b, spanParentID, above[:])
		}
		b = appendText(b, spanName, span.Name())
		b = appendNumber(b, spanKind, uint64(kindOf(span.SpanKind())))
		b = appendTime(b, spanStart, span.StartTime())
		b = appendTime(b, spanEnd, span.EndTime())
		b = appendAttributes(b, spanAttributes, span.Attributes())
		b = appendNumber(b, spanDroppedAttributes, uint64(span.DroppedAttributes()))
		for _, event := range span.Events() {
			b = appendMessage(b, spanEvents, func(b []byte) []byte {
				b = appendTime(b, eventTime, event.Time)
				b = appendText(b, eventName, event.Name)
				b = appendAttributes(b, eventAttributes, event.Attributes)
				return appendNumber(b, eventDroppedAttributes, uint64(event.DroppedAttributeCount))
			})
		}
		b = appendNumber(b, spanDroppedEvents, uint64(span.DroppedEvents()))
		for _, link := range span.Links() {
			b = appendLink(b, link)
		}
		b = appendNumber(b, spanDroppedLinks, uint64(span.DroppedLinks()))
		b = appendMessage(b, spanStatus, func(b []byte) []byte {
			b = appendText(b, statusMessage, status.Description)
			return appendNumber(b, statusCode, uint64(codeOf(status.Code)))
		})
		return appendFlags(b, spanFlags, sc.TraceFlags(), parent)
	})
}

func appendLink(b []byte, link sdktrace.Link) []byte {
	return appendMessage(b, spanLinks, func(b []byte) []byte {
		traceID, id := link.SpanContext.TraceID(), link.SpanContext.SpanID()
		b = appendBytes(b, linkTraceID, traceID[:])
		b = appendBytes(b, linkSpanID, id[:])
		b = appendAttributes(b, linkAttributes, link.Attributes)
		b = appendNumber(b, linkDroppedAttributes, uint64(link.DroppedAttributeCount))
		return appendFlags(b, linkFlags, link.SpanContext.TraceFlags(), link.SpanContext)
	})
}

// appendFlags says whether the span that is pointed to is of another process, and that this is known.
func appendFlags(b []byte, field protowire.Number, flags trace.TraceFlags, pointed trace.SpanContext) []byte {
	all := uint32(flags) | uint32(tracev1.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if pointed.IsRemote() {
		all |= uint32(tracev1.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, field, protowire.Fixed32Type), all)
}

func appendAttributes(b []byte, field protowire.Number, attributes []attribute.KeyValue) []byte {
	for _, kv := range attributes {
		b = appendMessage(b, field, func(b []byte) []byte {
			b = appendText(b, pairKey, string(kv.Key))
			return appendMessage(b, pairValue, func(b []byte) []byte { return appendValue(b, kv.Value) })
		})
	}
	return b
}

// appendValue appends the fields of an AnyValue. A value is there also when it is zero: it is one of several.
func appendValue(b []byte, v attribute.Value) []byte {
	switch v.Type() {
	case attribute.BOOL:
		return protowire.AppendVarint(protowire.AppendTag(b, valueBool, protowire.VarintType), protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		return protowire.AppendVarint(protowire.AppendTag(b, valueInt, protowire.VarintType), uint64(v.AsInt64())) //nolint:gosec // as protobuf has them
	case attribute.FLOAT64:
		return protowire.AppendFixed64(protowire.AppendTag(b, valueDouble, protowire.Fixed64Type), math.Float64bits(v.AsFloat64()))
	case attribute.BYTESLICE:
		return protowire.AppendBytes(protowire.AppendTag(b, valueBytes, protowire.BytesType), v.AsByteSlice())
	case attribute.BOOLSLICE:
		return appendArray(b, v.AsBoolSlice(), attribute.BoolValue)
	case attribute.INT64SLICE:
		return appendArray(b, v.AsInt64Slice(), attribute.Int64Value)
	case attribute.FLOAT64SLICE:
		return appendArray(b, v.AsFloat64Slice(), attribute.Float64Value)
	case attribute.STRINGSLICE:
		return appendArray(b, v.AsStringSlice(), attribute.StringValue)
	case attribute.SLICE:
		return appendArray(b, v.AsSlice(), func(v attribute.Value) attribute.Value { return v })
	case attribute.MAP:
		return appendMessage(b, valueMap, func(b []byte) []byte { return appendAttributes(b, mapPairs, v.AsMap()) })
	case attribute.EMPTY:
		return b
	default:
		return protowire.AppendString(protowire.AppendTag(b, valueString, protowire.BytesType), v.String())
	}
}

func appendArray[E any](b []byte, all []E, value func(E) attribute.Value) []byte {
	return appendMessage(b, valueArray, func(b []byte) []byte {
		for _, one := range all {
			b = appendMessage(b, arrayValues, func(b []byte) []byte { return appendValue(b, value(one)) })
		}
		return b
	})
}

// appendMessage appends a message whose length is known when it is there. Most are shorter than 128 bytes, whose length is one byte; longer ones are moved.
func appendMessage(b []byte, field protowire.Number, fields func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	at := len(b)
	b = fields(append(b, 0))
	size := len(b) - at - 1
	if more := protowire.SizeVarint(uint64(size)) - 1; more > 0 { //nolint:gosec // a length
		b = append(b, make([]byte, more)...)
		copy(b[at+1+more:], b[at+1:])
	}
	protowire.AppendVarint(b[:at], uint64(size)) //nolint:gosec // a length
	return b
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendText(b []byte, field protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

func appendTime(b []byte, field protowire.Number, at time.Time) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), uint64(max(0, at.UnixNano()))) //nolint:gosec // not negative
}

func kindOf(kind trace.SpanKind) tracev1.Span_SpanKind {
	switch kind {
	case trace.SpanKindInternal:
		return tracev1.Span_SPAN_KIND_INTERNAL
	case trace.SpanKindClient:
		return tracev1.Span_SPAN_KIND_CLIENT
	case trace.SpanKindServer:
		return tracev1.Span_SPAN_KIND_SERVER
	case trace.SpanKindProducer:
		return tracev1.Span_SPAN_KIND_PRODUCER
	case trace.SpanKindConsumer:
		return tracev1.Span_SPAN_KIND_CONSUMER
	default:
		return tracev1.Span_SPAN_KIND_UNSPECIFIED
	}
}

func codeOf(code codes.Code) tracev1.Status_StatusCode {
	switch code {
	case codes.Ok:
		return tracev1.Status_STATUS_CODE_OK
	case codes.Error:
		return tracev1.Status_STATUS_CODE_ERROR
	default:
		return tracev1.Status_STATUS_CODE_UNSET
	}
}
