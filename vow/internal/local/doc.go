// Package local runs the fleet of one machine: Redis or the embedded store, the services in this process, and beside it the supervisor, which keeps the agent and all service processes.
//
//	Fleet ─ lock of the data directory ─ redis-server? ─ svc-master ─ svc-scheduler ─ svc-promise ─ supervisor ─▶ agent, services
//
// Invariants: one Fleet per data directory; it listens on loopback only; what outlived a kill -9 of a former Fleet (redis-server, supervisor, services) is found and adopted, never doubled; Stop ends
// everything it started or adopted, in reverse order, bounded. Only vow's commands import it.
package local
