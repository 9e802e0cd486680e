// Package sample is the software of the sample release in examples/hello: a service that really listens, and a check that really asks it.
// Both are hidden subcommands of vow, so that a fresh machine with only Go has something to keep promises about; cmd/vow-sample is them alone, for images.
//
// Invariants: the service listens on loopback addresses only, exits when its port is taken, and ends on SIGTERM. Only the commands of this module import this package.
package sample
