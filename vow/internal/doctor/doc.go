// Package doctor looks whether vow itself is well: services, clocks, store, versions, computers, nodes; and packs what a person far away needs to help, without secrets.
//
// Invariants: it only reads, and ends within Within whatever is down: what does not answer is a finding. Of what leaves the machine in a bundle (Bundle) parameters and connection
// parameters are taken out wherever they appear, also where a service wrote them into its log; nothing goes in of trees whose parameters are not known.
//
// vow/internal/command imports it.
package doctor
