// Package supervisor is the machinery around the pure core svc-node/supervise: it starts processes, hears of their ends
// from the kernel, keeps the journal, and answers the control socket. One goroutine (machine.go) owns the Set, takes one
// event after the other through the core and carries out the effects; all others only bring events.
//
// How it keeps its promises:
//
//   - A process that nobody remembers would be started twice. So a child waits before exec, in a stub of our own
//     executable (stub.go), until its PID and start time are in the journal. If the supervisor dies before, the gate
//     closes and the stub leaves.
//   - The journal is written before a child is released but is synchronised to the disk behind the restart's back
//     (journal.go): kill -9 of the supervisor loses nothing that was written, and after a power cut neither the processes
//     nor their PIDs exist, and every partition runs with cause boot. An fsync would cost each restart 1 to 30 ms of
//     outage to guard against that.
//   - If the journal itself is lost, processes are found by the marker VOW_SUPERVISED in their environment (marker.go).
//   - Ends of children come by SIGCHLD and wait4, ends of adopted processes by pidfd; nothing is polled.
//   - Output goes straight to files (output.go), which are rotated by renaming at a start and by copying and truncating
//     (O_APPEND makes that safe) once a minute while a process runs.
//   - Orphans of dead services become our children (PR_SET_CHILD_SUBREAPER): they are killed and reaped (remains.go).
//   - Limits that need a cgroup are held by one per service (limit.go, internal/cgroup); one that the machine does not
//     permit is told and keeps nothing down.
//
// It imports no RPC and no telemetry library. It may be imported by app/supervisor only.
package supervisor
