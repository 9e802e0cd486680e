// Package fakesupervisor is a supervisor without processes, for simulators and tests of the agent: the real pure core
// (svc-node/supervise) with a machine behind it where every start succeeds at once and a process lives until it is told
// to end. It has the methods of the agent's client of the real supervisor, keeps time by package time only, and so works
// inside a testing/synctest bubble.
//
// It may be imported by sim, by tests, and by nothing that ships.
package fakesupervisor
