// Package clients holds programs that call vow, as other services would: connect and grpc in Go, typescript, curl. Each requests a tree, waits until it is Green on the watch stream, reads what it
// published, bangs it and follows the convergence to its end. They are a module of their own, outside the workspace, and know of this repository only the module gen.
//
// Nobody imports it; its test runs all of them against one `vow up` (make test-clients).
package clients
