// Package profile is the pure core of the buildout language as instance profiles use it: it parses a
// profile, resolves its references and plans which parts to install, update, uninstall or skip.
//
// Way through it:
//
//	source ─ Parse(loader) ─▶ Document ─ Resolve(environment, provide) ─▶ Resolved ─ PlanParts(installed) ─▶ []Step
//
// Invariants
//   - Same input, same output: nothing here reads a clock, a disk, the network or randomness. Files come
//     through the Loader, what only a recipe knows (a password on disk, the master's answer to a request)
//     through the Provide callback; both are given by the caller.
//   - Everything is bounded by a named limit (limits.go); no input makes it panic or run without end.
//   - Every error is an *Error that names file, line, section and option.
//   - Resolution is demand-driven, as buildout's: a section is initialised when a part or a reference first
//     needs it, its references first, so parts come out in the order in which they must be installed.
//
// Any package may import it; it imports pure standard-library packages only.
package profile
