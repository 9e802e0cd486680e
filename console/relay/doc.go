// Package relay calls nodes through svc-master, over the link that each node holds open: nodes sit behind NAT, nobody can call them (docs/relay.md).
//
// Invariants: it only translates: requests and answers are the node's own, and so are the errors; one that cannot be reached is UNAVAILABLE.
// vow's commands and the console import it.
package relay
