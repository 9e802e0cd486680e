package builtin

import (
	"io"
	"os"
	"syscall"
	"time"
)

// usual is the period of most promises.
const usual = 2 * time.Minute

// readHead reads the beginning of a file. A FIFO or a device does not make it wait.
func readHead(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) //nolint:gosec // what the promise names, with its user's rights
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
