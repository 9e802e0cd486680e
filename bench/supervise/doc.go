// Command supervise measures vow-supervisor beside Debian's supervisord, with the same services on the same machine in
// the same run: `make bench-supervise`.
//
// A service is a shell that writes its name and PID into a pipe and becomes `sleep`. A kill is measured from the SIGKILL
// until the replacement's line is read from the pipe, so the start of the shell is in all figures; "floor" is that start
// alone, by fork and exec. Services are killed one after the other, each a healthy time (10 s) after its last start, so
// that no growing delay is measured. supervisord has its best settings: autorestart=true, startsecs=0.
//
// Each line of its output has six columns, separated by tabs: name, ours, peer or floor, ratio, goal, ok or short.
// BENCH_SHORT=1 kills less often (2 minutes). It is a main package: nobody imports it.
package main
