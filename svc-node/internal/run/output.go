package run

// maxOutput is how much of a program's output becomes an error: the last bytes.
const maxOutput = 8 << 10

// ending keeps the end of what a program writes, so that one that writes without end takes no memory.
type ending struct{ kept []byte }

// Write implements io.Writer; it never fails.
func (e *ending) Write(output []byte) (int, error) {
	e.kept = append(e.kept, output[max(0, len(output)-maxOutput):]...)
	if len(e.kept) > 2*maxOutput {
		e.kept = append(e.kept[:0], e.kept[len(e.kept)-maxOutput:]...)
	}
	return len(output), nil
}

// String is the last of it.
func (e *ending) String() string { return lastBytes(string(e.kept), maxOutput) }
