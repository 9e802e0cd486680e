// Package privilege acts as the user of a partition or of the software releases: in the agent itself on a thread of its own
// (User.Do), and in children that can never be anybody else again (User.Start, User.Run).
//
// Invariants
//   - What Do calls has the file access of the user and no capability: the kernel refuses what the user may not. The
//     thread ends afterwards, so no other goroutine ever runs on it. Real and saved user stay the agent's, so that the
//     user can neither signal nor trace the agent meanwhile.
//   - What Start and Run start has the user as real, effective and saved user, its own group, no supplementary groups, no new
//     privileges (set-user-id programs have no effect), umask 027, and a session of its own.
//   - A goroutine or a process that Do's function starts is root again: whoever touches a partition does so in the function itself, or uses Start
//     (make check-repo looks for breaches, by name, within the package).
//   - The zero User is the agent's own user: nothing is switched, as on a laptop.
//
// The packages of svc-node import it, the supervisor's too: it imports no RPC and no telemetry.
package privilege
