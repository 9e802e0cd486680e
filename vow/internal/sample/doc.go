// Package sample is the software of the sample release in examples/hello: a service that really listens, and a check that really asks it.
// Both are hidden subcommands of vow, so that a fresh machine with only Go has something to keep promises about.
//
// Invariants: the service listens on loopback addresses only, exits when its port is taken, and ends on SIGTERM. Only vow's command imports this package.
package sample
