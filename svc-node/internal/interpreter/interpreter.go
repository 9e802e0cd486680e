package interpreter

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

const (
	// MaxPaths is how many entries of sys.path a script may name.
	MaxPaths = 500
	// maxHead bounds what is read of a script: hundreds of eggs fit.
	maxHead = 256 << 10
)

var (
	pathLiteral = regexp.MustCompile(`(?ms)^sys\.path\[0:0\]\s*=\s*\[(.*?)\]`)
	pathItem    = regexp.MustCompile(`"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'`)
)

// Shebang is the Python that a script's first line names, absolute; empty = none.
func Shebang(content []byte) string {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte("#!"))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) == 0 || !filepath.IsAbs(fields[0]) || !strings.HasPrefix(filepath.Base(fields[0]), "python") {
		return "" // also /usr/bin/env python3: that is the machine's
	}
	return fields[0]
}

// Paths are the entries that a script puts before sys.path.
func Paths(content []byte) ([]string, error) {
	literal := pathLiteral.FindSubmatch(content)
	if literal == nil {
		return nil, nil
	}
	items := pathItem.FindAllSubmatch(literal[1], MaxPaths+1)
	if len(items) > MaxPaths {
		return nil, fmt.Errorf("it names more than %d entries of sys.path", MaxPaths)
	}
	paths := make([]string, len(items))
	for i, item := range items {
		paths[i] = string(item[1]) + string(item[2])
	}
	return paths, nil
}

// Head reads the beginning of a file.
func Head(path string) ([]byte, error) {
	// Not blocking: it may be a FIFO that nobody writes to.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxHead))
}

// OfRelease is the Python of a release's bin/buildout and what that puts before sys.path, or else the machine's python3.
func OfRelease(directory string) (python string, paths []string, err error) {
	if head, err := Head(filepath.Join(directory, "bin", "buildout")); err == nil {
		if python = Shebang(head); python != "" {
			paths, err = Paths(head)
			return python, paths, err
		}
	}
	python, err = exec.LookPath("python3")
	if err != nil {
		return "", nil, fmt.Errorf("there is no python3 on this machine: %w", err)
	}
	return python, nil, nil
}

// PathVariable names the environment variable that tells a program of a profile what to put before sys.path: -I, which
// keeps the partition's directory off it, makes Python ignore PYTHONPATH.
const PathVariable = "VOW_PYTHON_PATH"

// Command is the Python of a release running a program, isolated from the user's directory and environment.
func Command(release, program string) (arguments, environment []string, err error) {
	python, paths, err := OfRelease(release)
	if err != nil {
		return nil, nil, err
	}
	return []string{python, "-I", "-c", program}, []string{PathVariable + "=" + strings.Join(paths, string(os.PathListSeparator))}, nil
}
