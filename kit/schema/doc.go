// Package schema checks parameters against the JSON schemas that a software release ships (software.cfg.json and what it names), sets the
// defaults those declare, and bundles the files of a release so that they can be checked elsewhere.
//
// Invariants
//   - Files are read through the caller's callback alone: no network, and nothing that the caller may not read.
//   - A schema is a stranger's: its size, nesting, files, regular expressions and the work of one check are bounded.
//   - Defaults and conversions come only from schemas that hold for the whole: one that a failed branch of oneOf
//     declares is never applied.
//   - An error names the parameter and the schema's file, and never a parameter's value, which may be a password.
//   - The parameters given are not changed; the result is a copy.
//
// svc-node's recipes and svc-master's requests import it; anything may.
package schema
