// Package app is svc-promise: it wires windows, alarm and API together, and has a life.
//
//	server ─▶ api.Sense, api.Promise ─▶ window ─▶ verdict
//	                    └─▶ alarm ─▶ api.Master ─▶ svc-master
//
// Invariants: New does nothing but check, Start listens, Stop is bounded and idempotent; no globals, so that several live in one process. Mains, the all-in-one and simulators import it.
package app
