// Package statusfile writes what SlapOS's tools read of a promise: .slapgrid/promise/log/<title>.log, a line an entry, and
// .slapgrid/promise/result/<title>.status.json, the last result.
//
// Invariants: files are written as the partition's user, through no link below the partition's directory, and only into
// regular files; a log is at most MaxLog bytes and one older file of that size; a result is written when its type,
// failure or message changed, to a temporary file and then renamed. What cannot be written is told to the caller and
// nothing else: sensing goes on.
//
// What is read back may be anything that the partition's user made of it: sizes are bounded, and what has no form is text.
//
// Python promises write these files themselves (internal/pythonhost). internal/sense and internal/byhand import it.
package statusfile
