// Command client is how another service calls vow: it bangs a tree, follows the convergence, and prints when every partition has run.
//
//	go run ./examples/client hello
package main
