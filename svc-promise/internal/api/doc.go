// Package api translates RPC: the handlers of vow.promise.v1 and the client of svc-master. Decisions are made in verdict, windows kept in window, bangs told by alarm.
//
// Invariants: a batch is acknowledged once its groups are in the windows and the bangs of its allocations are known to svc-master; groups are acknowledged in the order in which they came. app imports it.
package api
