// Package builtin holds the sensors that svc-node has in itself: those of slapos.toolbox that profiles use most, with the
// same configuration, messages and verdicts, and no process (check_command_execute executes the command alone).
//
//	declaration ─▶ Prepare ─▶ Check (configuration read once, windows, period) ─▶ Sense, each time ─▶ group
//
// Each sensor is a file with a value of type Sensor; docs/sensors.md is generated from those values by go test -update.
//
// Invariants: a sensor that opens files or unix sockets does so with the rights of the partition's user (package privilege);
// it reads bounded amounts; it ends with its context; it never panics on what a configuration says. Messages quote as
// Python does, since people and tools know them so.
//
// internal/sensor imports it, and internal/recipe to know which modules it has.
package builtin
