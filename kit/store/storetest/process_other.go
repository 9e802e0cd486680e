//go:build !linux

package storetest

import "os/exec"

// dieWithParent does nothing where the kernel cannot: a test binary that is killed leaves its server behind.
func dieWithParent(*exec.Cmd) {}
