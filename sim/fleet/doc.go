// Package fleet is the fleet simulator: the four services with their real handlers and their real Redis code (on the
// embedded store), and nodes whose machines are faked, in one testing/synctest bubble over a network in memory.
//
//	operator ─┐                     ┌─ svc-master ────┐
//	          ├─ memnet, with cuts ─┼─ svc-scheduler ─┼─ embedded store
//	nodes ────┘                     └─ svc-promise    ┘
//	  └ svc-node's agent on a Machine: fakesupervisor, an installer and sensors that do as the story says
//
// Stories are scripts in testdata: they read as prose and hold state, transcript, spans and metrics together against
// what they say (go test ./fleet -update writes those anew, to be read before they are committed). What a story shows is outcomes:
// ids are replaced by names, times are virtual, the transcript is sorted by (time, entity, sequence), and a moment may be some
// milliseconds beside what the story says, since within one instant the Go scheduler decides what is first.
//
// Invariants: nothing here knows a rule of vow; time is only virtual; a Machine outlives its agent, as a machine does; a
// crash of a service loses what its process had in memory, its unsent spans and its connections, and nothing else.
//
// Tests of sim import it; nothing else does.
package fleet
