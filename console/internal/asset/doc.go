// Package asset is the console's style sheet and scripts, ours (file/) and those of others (vendored/), as they are served.
//
// Invariants: nothing is built on the way from clone to running; what is vendored is as its npm package has it, byte for byte (vendored/SHA256SUMS). URLs hold a
// hash of the content and may be kept for ever. Only console/internal/page imports it.
package asset
