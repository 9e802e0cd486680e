// Package supervisorapi is what the agent and the supervisor say to each other over the supervisor's control socket, and
// the client that the agent uses.
//
// The protocol is one JSON value per line over a Unix socket (mode 0600) named "supervisor.sock" in the supervisor's
// folder: a Request, answered by one Reply. A connection takes any number of requests, one after the other. After
// "subscribe" the connection belongs to the server, which writes one Reply with an Exit per end of a process, the moment
// it happens.
//
// Exits are numbered without gaps (Exit.Seq) and kept in the supervisor's journal until acknowledged, so an agent that was
// away, or died between hearing of an exit and passing it on, hears of it again: delivery is at least once, and the
// number tells repetitions. The agent acknowledges an exit when its bang is acknowledged or spooled.
//
// The supervisor must stay small: this package and all that it imports is free of RPC and telemetry libraries (tools/check
// watches it). It may be imported by internal/supervisor and by the agent's wiring. The agent's own
// packages ask for the few methods of Client that they use as an interface over types of package supervise:
//
//	type Supervisor interface {
//		Apply(ctx context.Context, partition string, processes []supervise.Process) error
//		Settle(ctx context.Context, partition string) ([]supervise.Status, error)
//		List(ctx context.Context, partition string) ([]supervise.Status, error)
//		Hand(ctx context.Context, key supervise.Key, action supervise.Action) error
//		Subscribe(ctx context.Context, seq uint64) (<-chan supervise.Exit, error)
//		Ack(ctx context.Context, seq uint64) error
//	}
//
// which app/fakesupervisor satisfies too, for simulators.
package supervisorapi
