// Package senselog is the node's own log of sense groups: it numbers them, and keeps the newest of each promise to
// replay them to svc-promise or to evaluate them on the node.
//
// Invariants: sequences of a promise of an allocation start at the milliseconds since 1970, so that a machine that lost its log counts
// above what it counted before, and grow by one, across restarts of the agent; per
// promise at most Kept groups are held in memory, fewer where they are large, and per allocation the file is at most twice
// what is held and MaxFile. A group names the one before it, so that a window knows what it lacks. The log is not
// synced: after a crash of the machine the newest groups may be gone, so after a boot sequences go on Skipped further and
// none is given twice.
//
// internal/agent imports it.
package senselog
