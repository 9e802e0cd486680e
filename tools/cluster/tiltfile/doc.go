// Package tiltfile evaluates tilt/Tiltfile without Tilt, and says what Tilt would know after it: resources, builds, objects.
//
// Invariant: the built-ins take the arguments that Tilt's take, of their types, and refuse what Tilt refuses; what Tilt only warns of is refused too. docs/cluster.md names the sources.
// Package session, cmd/session, cmd/kubernetes and tests import it.
package tiltfile
