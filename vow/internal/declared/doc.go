// Package declared is a fleet written down in a file: software releases on computers, and roots of instance trees. It reads the file, compares it with what is
// requested, and writes what is requested as such a file. docs/declared.md is its reference for users.
//
// Invariants: it is pure. A file that is read, applied and exported is the same file but for its order. What a file does not name is left alone: nothing
// is removed but by `state: destroyed`. A mistake is told with its line.
// vow's commands import it.
package declared
