// Package model runs the pure cores of the four services in one seeded single-threaded event loop: svc-master/fleet, svc-scheduler/agenda,
// svc-node/converge and svc-node/supervise, svc-promise/verdict. Around them is as little as can be: a master that commits exactly what the effects name, replicas of
// svc-scheduler that store before they hand over, agents with a disk, a supervisor per machine, windows in memory, and a network that delays, drops, repeats,
// reorders and cuts. Anything may crash between any two effects. Clocks are skewed and jump.
//
//	seed ─▶ World: trees, machines, what breaks ─▶ loop: (virtual time, sequence) ─▶ cores ─▶ Checker after every step ─▶ Summary, or the first broken rule
//
// Invariants of the simulator itself:
//   - a seed replays exactly: one source of randomness, one queue with a total order, no map is walked unsorted; transcripts are equal byte for byte;
//   - writing a transcript changes nothing, so that a failing seed is run again to tell its tail;
//   - what is acknowledged is lost only when the store itself loses its last seconds, and then the epoch moves;
//   - what a crash loses is what was not stored: a tree is built anew from the parts that its effects named.
//
// The Checker (docs/rules.md, what must never happen) has its own memory, fed by what callers were told, and never asks the core whether the core is right.
//
// Tests and sim/cmd/model import it.
package model
