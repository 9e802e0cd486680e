// Package release keeps the installed software releases of a computer: each a copy of a `file:` directory under
// <software root>/<md5 of its URL>.
//
// Invariants: a release under its name is complete (it is copied under another name, synced, given .completed as its last
// file, and renamed); nothing in it leads out of it; installing what is installed does nothing.
//
// internal/agent imports it.
package release
