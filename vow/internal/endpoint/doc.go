// Package endpoint knows where the services of vow listen: the fixed loopback ports, what `vow up` wrote into its data directory, VOW_*_ADDRESS and flags.
//
// Invariants: a flag wins over the environment, the environment over the file, the file over the fixed ports. The file is written atomically and is readable by its owner alone.
// Only vow's commands import it.
package endpoint
