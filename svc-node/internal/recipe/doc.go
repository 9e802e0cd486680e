// Package recipe holds the recipes that carry an instance profile's plan out: each part of a profile names
// one, which reads the part's options and says what files it wants.
//
// Invariants
//   - A recipe is one file with its tests; its table of options is data, and docs/recipes.md is generated from
//     it (go test -update). Recipes builds the map of all of them; nothing registers itself.
//   - A recipe never touches the disk: it writes to Files, which internal/install stages, checks and commits.
//     So a plan without effects is the same code, and a crash leaves no half-written part.
//   - A recipe never reaches the master or the machine but through World.
//   - Installing the same options twice writes the same bytes: what is random or allocated is remembered.
//
// internal/install imports it, and the agent for World. It imports profile and its own jinja package.
package recipe
