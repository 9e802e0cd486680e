// Package wellknown translates between Go's times and protobuf's well-known types, where a zero value is an unset field.
//
// Invariants: what is unset is zero when it is read, not 1970 as AsTime has it; a time comes back in UTC and equal.
//
// Whatever is not a pure core may import it; it imports nothing of the project.
package wellknown
