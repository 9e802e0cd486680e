// Package supervisor lets an executable host the supervisor: Stub at the top of main, Main for the command. It is what
// cmd/vow-supervisor is made of, and what `vow` calls to host the supervisor in its own binary.
//
// An executable that hosts it must call Stub before anything else, since the supervisor creates every process through a
// copy of its own executable.
//
// It imports no RPC and no telemetry library, and may be imported by main packages and by the all-in-one command.
package supervisor
