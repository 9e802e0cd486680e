// Package schema checks the parameters of an instance against the JSON schemas of its software release, and sets the
// defaults those declare: what slapos.cookbook:slapconfiguration.jsonschema promises a profile.
//
// Invariants
//   - Files are read through the caller's callback alone: no network, and nothing that the caller may not read.
//   - Defaults and conversions come only from schemas that hold for the whole: one that a failed branch of oneOf
//     declares is never applied.
//   - An error names the parameter and the schema's file, and never a parameter's value, which may be a password.
//   - The parameters given are not changed; the result is a copy.
//
// internal/recipe imports it.
package schema
