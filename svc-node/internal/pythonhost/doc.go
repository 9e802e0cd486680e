// Package pythonhost senses the Python promises of etc/plugin: in warm hosts, one process per interpreter and release.
//
//	Sense ─▶ plan (interpreter, the release's paths, whom to be) ─▶ host ─ socketpair ─▶ vowhost.py ─ fork ─▶ the plugin
//	group ◀─ translate ◀───────────────────────────────────────────────────────────────────── pipe ◀─ result, bounded
//
// A host imports vow's own modules (folder python: what plugins import from slapos.*, where the release does not bring it)
// and what only root can change of the release; it has one thread and forks a process per promise. That process becomes
// the partition's user for good before it reads a line of the plugin, leads a session of its own, and is killed with all
// it started when it ends or its time is over. docs/promises-python.md is for authors.
//
// Invariants: an execution always gives a group, whatever the plugin does. A host runs as the agent's user only what
// nobody else can change. Nothing that a plugin writes is believed before it was checked for size and shape. When a host
// dies, those it was sensing are sensed again one at a time: only who is alone with a dying host is blamed.
//
// internal/agent and app import it.
package pythonhost
