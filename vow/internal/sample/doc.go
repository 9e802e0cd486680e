// Package sample is the software of the sample releases in examples/hello and examples/frontend: a service that really listens, a server that leads to such ones,
// and a check that really asks them. All are hidden subcommands of vow, so that a fresh machine with only Go has something to keep promises about; cmd/vow-sample is them alone, for images.
//
// Invariants: the service listens on loopback addresses only, exits when its port is taken, and ends on SIGTERM. Only the commands of this module import this package.
package sample
