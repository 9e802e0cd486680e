// Package examine has the words of a service that examines itself: checks, and how each ended. docs/doctor.md tells what is checked.
//
// Invariants: no clock, no I/O. A check that is well has no advice, any other has. What is found is for people, and holds no secrets.
//
// Who examines or tells imports it: kit/store, svc-node/internal/{agent,api}, vow/internal/doctor; gen/examination translates.
package examine
