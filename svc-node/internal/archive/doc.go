// Package archive reads archives of strangers: tar, plain or packed by gzip, zstd, bzip2 or xz, and zip. What one is, its
// first bytes say: names lie.
//
//	Unpack ─ first bytes ─┬─ zip: directory, entries ─────┬─▶ Sink: Directory, File, Link, HardLink
//	                      └─ decompress ─ tar: entries ───┘      both count in one Budget
//
// Invariants: a Sink is told only names that are relative, clean and lead nowhere above; kinds other than file, directory and
// link are refused, as is what is encrypted; the memory of a decompressor, the directory of a zip and the length of names are
// bounded; no more bytes are read than the budget has, headers and padding included; the end of a stream is read, so that
// its checksum is compared. Where a link leads only its Sink can judge.
//
// internal/release and internal/recipe import it.
package archive
