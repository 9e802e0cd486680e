// Package manifest builds the objects of tilt/k8s as kustomize does, for tests and for validation by a real API server.
//
// Invariant: it reads what is in the repository and nothing else. Commands and tests of this module import it.
package manifest
