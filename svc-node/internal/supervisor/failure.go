package supervisor

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// explainFork says why no stub could be created.
func explainFork(err error) string {
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return "cannot start it: the limit of processes is reached (of the user, the machine or the container)"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "cannot start it: the limit of open files is reached"
	}
	return "cannot start it: " + err.Error()
}

// explain says why a stub could not become the process, in terms of what a person can repair.
func (f failure) explain(o order) string {
	switch f.Stage {
	case "user":
		if f.Errno == syscall.EPERM {
			return fmt.Sprintf("cannot start it as user %d: the supervisor runs as user %d, only root may start processes of others",
				o.UID, os.Getuid())
		}
		return fmt.Sprintf("cannot start it as user %d: %v", o.UID, error(f.Errno))
	case "limit":
		return fmt.Sprintf("cannot start it: its limit of %d open files: %v", o.Files, error(f.Errno))
	case "dir":
		return fmt.Sprintf("cannot start it: its working directory %s: %v", o.Dir, error(f.Errno))
	case "exec":
		return explainExec(o.Path, f.Errno)
	}
	return fmt.Sprintf("cannot start it: its order did not arrive: %v", error(f.Errno))
}

// explainExec says why the kernel did not execute the file.
func explainExec(path string, errno syscall.Errno) string {
	info, err := os.Stat(path)
	if err != nil {
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return fmt.Sprintf("cannot start it: %s is a symbolic link to %s, which does not exist", path, target)
		}
		return fmt.Sprintf("cannot start it: %s: %v", path, cause(err))
	}
	interpreter, from := interpreterOf(path)
	switch errno { //nolint:exhaustive // the others speak for themselves
	case syscall.ENOENT:
		if interpreter != "" {
			return fmt.Sprintf("cannot start it: the interpreter of %s, %s, does not exist (%s)", path, interpreter, from)
		}
	case syscall.EACCES:
		switch {
		case info.IsDir():
			return fmt.Sprintf("cannot start it: %s is a folder", path)
		case info.Mode()&0o111 == 0:
			return fmt.Sprintf("cannot start it: %s is not executable (mode %04o)", path, info.Mode().Perm())
		case interpreter != "" && !executable(interpreter):
			return fmt.Sprintf("cannot start it: the interpreter of %s, %s, is not executable (%s)", path, interpreter, from)
		}
		return fmt.Sprintf("cannot start it: %s may not be executed by its user (mode %04o)", path, info.Mode().Perm())
	case syscall.EAGAIN:
		return "cannot start it: the limit of processes of its user is reached"
	case syscall.ENOEXEC:
		return fmt.Sprintf("cannot start it: %s is neither a program for this machine nor a script that begins with #!", path)
	case syscall.ETXTBSY:
		return fmt.Sprintf("cannot start it: %s is being written", path)
	case syscall.E2BIG:
		return fmt.Sprintf("cannot start it: arguments and environment of %s are too long for the kernel", path)
	}
	return fmt.Sprintf("cannot start it: %s: %v", path, error(errno))
}

// interpreterOf returns what the kernel runs to run the file: the program of the #! line or the dynamic loader.
func interpreterOf(path string) (interpreter, from string) {
	file, err := os.Open(path)
	if err != nil {
		return "", ""
	}
	defer file.Close()
	line, err := bufio.NewReader(io.LimitReader(file, 256)).ReadString('\n')
	if err != nil && err != io.EOF { //nolint:errorlint // bufio returns it bare
		return "", ""
	}
	if script, ok := strings.CutPrefix(line, "#!"); ok {
		fields := strings.Fields(script)
		if len(fields) == 0 {
			return "", ""
		}
		if strings.HasSuffix(line, "\r\n") && len(fields) == 1 {
			return fields[0] + "\\r", "its first line ends with a carriage return"
		}
		return fields[0], "its first line"
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return "", ""
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			name, _ := io.ReadAll(io.LimitReader(segment.Open(), 4096))
			return strings.TrimRight(string(name), "\x00"), "its dynamic loader"
		}
	}
	return "", ""
}

func executable(path string) bool {
	info, err := os.Stat(filepath.Clean(path))
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// cause is the error without the operation and path that the os package puts around it.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
