package storetest

import (
	"net"
	"os"
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the server when the test binary dies, by a time-out for example, where no
// cleanup runs.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// Loopback is an address of this process alone. A port of it that is given back, by a server that is killed and started again, is taken by nobody meanwhile: not by the connections of others, which come from 127.0.0.1, and not by another test's
// servers.
func Loopback() string {
	pid := os.Getpid() // has 22 bits at most
	return net.IPv4(127, byte(64|pid>>16&63), byte(pid>>8), byte(pid)).String()
}
