// Package app wires the console: clients, hub, pages and server.
//
// Invariants: the console keeps nothing and starts, stops and answers whether or not the services are there. cmd/console and `vow up` import it.
package app
