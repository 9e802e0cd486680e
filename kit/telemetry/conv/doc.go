// Package conv declares every name that vow emits: attribute keys, span names, metric instruments and events, each
// with its meaning, unit and allowed values. docs/telemetry.md is generated from it (cmd/convdoc) and checked for
// drift. Nothing else in the repository spells such a name as a string.
//
// Names follow the OpenTelemetry semantic conventions of SchemaURL: object.property, snake_case inside, singular,
// seconds, `{run}`-style units, our own under "vow.". The nearest relative of a run is the CI/CD pipeline run, whose
// shape (result, state) is copied.
//
// Ids (partition, run, bang) go on spans, logs and events; a metric takes only the labels it declares, and its
// instruments here enforce that: an undeclared label is dropped, a missing one is filled in, an undeclared value of
// an enumeration becomes Other. The label keys of a metric thus cannot vary.
//
// Any package but a pure core may import it. This is the only package of kit that knows nouns of the domain.
package conv
