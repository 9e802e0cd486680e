// Package golden compares what a test makes with a file that is read as the expectation: the scripts of a core, a generated page. `go test -update` writes the file
// anew; read the difference before you commit it.
//
// Invariants: without -update nothing is written, and a file that is missing fails the test.
//
// Only tests import it; it imports nothing of the project.
package golden
