// Package examples holds what README, demo and tests use: software releases with their profiles, and a client as another service would write it.
//
// Invariants: a folder here is a software release, complete, as an author would write it; client imports generated code only. vow embeds hello; first is to be copied; frontend shows shared instances;
// database, in the style of real releases, needs Redis, python3 and curl.
package examples
