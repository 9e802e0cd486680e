package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// release is the version that this commit is on the way to; the commit is added.
const release = "0.1.0-dev"

// NewBuild is a build of the repository at root for GOARCH; version, commit and its time are git's.
func NewBuild(root, arch string) (Build, error) {
	b := Build{Root: root, Programs: filepath.Join(root, ".cache", "image", arch), Arch: arch}
	ask := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-c", "safe.directory=*", "-C", b.Root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	revision, err := ask("rev-parse", "HEAD")
	if err != nil {
		return Build{}, fmt.Errorf("cannot tell the commit: %w", err)
	}
	seconds, err := ask("log", "-1", "--format=%ct")
	if err != nil {
		return Build{}, fmt.Errorf("cannot tell the time of the commit: %w", err)
	}
	second, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Build{}, fmt.Errorf("cannot tell the time of the commit: %w", err)
	}
	changed, err := ask("status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return Build{}, fmt.Errorf("cannot tell whether the commit is all: %w", err)
	}
	b.Revision, b.Time = revision, time.Unix(second, 0)
	b.Version = release + "+" + revision[:12]
	if changed != "" {
		b.Version += ".changed"
	}
	return b, nil
}

// Compile makes the programs of an image: static, without paths of this machine, for any Linux.
func (b Build) Compile(s Spec) error {
	for _, program := range s.Programs {
		at, err := filepath.Abs(filepath.Join(b.Programs, filepath.Base(program)))
		if err != nil {
			return err
		}
		module, rest, _ := strings.Cut(program, "/cmd/")
		command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+b.Version, "-o", at, "./cmd/"+rest)
		command.Dir = filepath.Join(b.Root, module)
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.Arch, "GOWORK=off", "GOFLAGS=")
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("cannot compile %s: %w", program, err)
		}
	}
	return nil
}
