// Package partition is a partition's directory: its layout, its lock, which processes it wants, and its end.
//
//	<instance root>/<partition>/           0750, HOME of its processes
//	    etc/service  etc/services          kept running, watched
//	    etc/run                            once per change or boot
//	    etc/promise                        sensors
//	    sbin/destroy                       executed before the content is removed
//	    .slapgrid/log/<name>.log           output of the processes
//
// Invariants: the lock lies outside of the directory, so that what runs in the partition cannot hold it, and two holders
// are never there at once, whatever process they are in; destroying removes content only inside of the directory and
// follows no link.
//
// internal/agent imports it.
package partition
