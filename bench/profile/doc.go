// Command profile measures a deployment of an instance profile beside Debian's zc.buildout, on the same machine in the same
// run: `make bench-profile`.
//
// The profile has fifty parts of four recipes that exist in both: those of vow, and an egg with the same names and outputs
// (peer.go), whose updates do nothing, which is the least a recipe can do. Ours is measured as the agent carries it out,
// within a process that runs already; buildout as slapgrid starts it, a process each time. "Without a cache" parses
// the profile each time, as the first run after a start of the agent does.
//
// Each line of its output has six columns, separated by tabs: name, ours, peer, ratio, goal, ok or short.
// BENCH_SHORT=1 runs buildout 5 times instead of 20. It is a main package: nobody imports it.
package main
