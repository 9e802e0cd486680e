// Package check holds the rules of this repository that no compiler and no linter knows: which package may import which,
// where a telemetry name may be spelled, that every package says what it is for.
//
// A rule is a function from the parsed repository to findings. Rules lists them all; `make check-repo` runs them over this
// repository, and each has a case in rules_test.go with a small repository that breaks it, so that a rule which cannot fail
// is noticed.
//
// Invariants: only syntax is read, nothing is compiled or executed, so the rules run on a tree that does not build; what is
// under testdata, node_modules or a folder that starts with a dot is not looked at.
//
// Nothing imports this package. It imports the standard library and golang.org/x/mod only.
package check
