// Package otlp exports spans by OTLP, as the SDK's exporter does, with a fourth of its garbage: it writes each span once, into memory that is used
// again for the next batch, instead of making a message of it, one of each attribute and one of each value (docs/decisions/0082).
//
// What sends is the SDK's client, with its protocols, its environment, its retries and its compression: it is given one message for each batch,
// whose spans are in it as they are on the wire.
//
// Invariants: what is sent is, decoded, what the SDK's exporter sends of the same spans; as the SDK promises, no two batches are exported at once.
//
// kit/telemetry imports it; nothing else does.
package otlp
