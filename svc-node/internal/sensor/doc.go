// Package sensor finds the promises of a partition and executes their sensors, each kind by its own: the executables of
// etc/promise, the Python promises of etc/plugin/*.py, and the built-in sensors that etc/plugin/*.json declare.
//
// Invariants: an execution always gives a group, whatever the promise does (hang, huge or binary output, a missing
// interpreter, a declaration that makes no sense); when it returns, no process of the sensor lives that can be found
// (package child says which); configuration files are never executed (docs/rules.md, executables in `etc/promise`, and
// timeouts).
//
// internal/sense imports it to list and sense, internal/agent and app to wire it, internal/pythonhost to be a Sensor.
package sensor
