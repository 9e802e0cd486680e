//go:build !linux

package storetest

import "os/exec"

// dieWithParent does nothing where the kernel cannot: a test binary that is killed leaves its server behind.
func dieWithParent(*exec.Cmd) {}

// Loopback is 127.0.0.1, where there is no other: a server that is killed may find its port taken.
func Loopback() string { return "127.0.0.1" }
