// Package release keeps the installed software releases of a computer, each under <software root>/<md5 of its URL>:
// directories that are copied, archives that are downloaded and unpacked, and buildout profiles that a real buildout
// builds (docs/releases.md).
//
//	Root.Install ─ lock, space ─┬─ directory: copy ─────────────────────┐
//	                            ├─ archive: download ─ verify ─ unpack ─┼─ .completed ─ rename
//	                            └─ profile: (download ─ verify) ─ build ┴─ .completed
//
// Invariants: a release that has .completed is whole and on the disk; nothing is written outside of its folder, whatever an
// archive says; of one release one attempt's partial state is kept, under names that begin with a dot; at most one
// installation goes on in a software root, whichever processes ask; no error, span or file that others may read holds the
// user or password of a URL. With Settings.User all of it is done as that user, on its thread or in a process that stays it:
// the agent, root, opens nothing in the software root by itself but to see whether a release is whole.
//
// internal/agent and app import it.
package release
