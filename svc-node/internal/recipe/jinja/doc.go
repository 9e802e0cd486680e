// Package jinja renders the Jinja2 templates of instance profiles as Python's Jinja2 does: the same syntax, the same
// values (None, tuples, dictionaries in the order of their making, integers apart from floats, lists that are references),
// printed the same way, with undefined names as errors, and with the Python built-ins and modules that profiles use.
//
// Invariants
//   - A template reads no file but those its caller gives it by name; there is no clock and no randomness.
//   - Every rendering is bounded: steps, loops, depth, bytes made and bytes written, each with a named limit.
//   - The caller's context is never changed: a template works on a copy.
//
// The way of a template: scan (tokens), parse (syntax tree), then the machine walks the tree with a scope. The values are
// in value.go; what can be done with them is in methods, filters, tests and functions.
//
// internal/recipe imports it.
package jinja
