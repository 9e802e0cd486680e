// Package session does with a Tiltfile's resources what `tilt ci` does with them, where there is no Tilt: it runs commands, builds images and applies objects in the order of resource_deps, waits for probes and pods, ends as soon as one fails or all are well, and stops what it started as Tilt stops it.
//
// Invariants: whatever ends a session, each process group that it started has ended before Run returns. What it does was read in Tilt's sources (docs/cluster.md), and it does no more: nothing is watched, nothing is started again.
// cmd/session, cmd/kubernetes and tests import it.
package session
