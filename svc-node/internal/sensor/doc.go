// Package sensor finds the promises of a partition and executes their sensors: the executables of etc/promise.
//
// Invariants: an execution always gives a group, whatever the executable does (hang, huge or binary output, a missing
// interpreter); when it returns, no process of the sensor's group lives; a file etc/promise/<name>.json configures a
// promise and is never executed (docs/rules.md, executables in `etc/promise`, and timeouts).
//
// internal/agent imports it; app passes another Sensor in its place where nothing may be executed.
package sensor
