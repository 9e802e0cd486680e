// Package api is a client of a Kubernetes API server, as small as what our commands ask of it: apply, get, patch, delete, and wait. Objects are what their JSON says.
//
// Invariant: what the server warns of is an error for who applies. Commands of this module import it, and the packages that they are made of.
package api
