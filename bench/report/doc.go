// Package report writes what a benchmark measured: a line per figure of six columns, separated by tabs: name, ours, peer or
// floor, ratio, goal, ok or short. Lines that begin with # are about the run: the load of the machine, and how much of it
// the host of a virtual machine took away meanwhile, which is in the worst percentiles of everything.
//
// The programs of bench import it, nobody else.
package report
