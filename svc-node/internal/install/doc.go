// Package install carries the plan of an instance profile out in a partition's directory, and keeps the record
// of what it installed there.
//
// A run: parse, resolve (recipes are asked for what only they know), plan, then let each recipe write into a
// stage in memory; commit the stage. A plan without effects is the same run whose stage is never committed.
//
// Invariants
//   - A profile that does not parse or resolve, or names an unknown recipe, changes nothing on disk.
//   - Only files recorded as ours, with the content we wrote, are replaced or removed. One that somebody
//     changed since is moved to .vow/kept first; one that nobody of ours made is never touched: the part fails.
//   - Every path is opened beneath the partition's directory with os.Root: "..", absolute paths outside of it
//     and symbolic links that leave it are refused.
//   - Files appear whole: written beside, synced, renamed. Before the first is touched the record names what is
//     about to be written, so that after a crash the next run knows them as ours and finishes.
//   - A run that changes nothing writes nothing.
//
// The agent imports it. It has no telemetry and no logger: Observer tells its caller of each part.
package install
