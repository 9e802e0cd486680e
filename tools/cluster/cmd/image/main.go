// Command image builds the images of vow: it compiles the programs, static, and packs them.
//
//	image [-out DIRECTORY] [NAME …]     OCI layouts, DIRECTORY/NAME
//	image -archive FILE -ref REF NAME   one image as docker load reads it
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/tools/cluster/image"
)

// release is the version that this commit is on the way to; the commit is added.
const release = "0.1.0-dev"

func main() {
	root := flag.String("root", ".", "the repository's root")
	out := flag.String("out", "dist/images", "where layouts go")
	archive := flag.String("archive", "", "write one image to this file, as docker load reads it")
	ref := flag.String("ref", "", "what the image in the archive is called")
	arch := flag.String("arch", runtime.GOARCH, "GOARCH")
	flag.Parse()
	if err := run(*root, *out, *archive, *ref, *arch, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(root, out, archive, ref, arch string, names []string) error {
	if archive != "" && (len(names) != 1 || ref == "") {
		return fmt.Errorf("cannot write %s: an archive holds one image and has a -ref", archive)
	}
	specs, err := choose(names)
	if err != nil {
		return err
	}
	programs := filepath.Join(root, ".cache", "image", arch)
	build := image.Build{Root: root, Programs: programs, Arch: arch, Quick: archive != ""}
	if err := stamp(&build); err != nil {
		return err
	}
	for _, s := range specs {
		if err := compile(build, s); err != nil {
			return err
		}
		made, err := build.Make(s)
		if err != nil {
			return err
		}
		size, err := image.Size(made)
		if err != nil {
			return err
		}
		if size > image.MaxSize {
			return fmt.Errorf("cannot ship %s: %d bytes, more than %d", s.Name, size, image.MaxSize)
		}
		digest, err := made.Digest()
		if err != nil {
			return err
		}
		where := filepath.Join(out, s.Name)
		if archive != "" {
			where, err = archive, image.WriteArchive(archive, made, ref)
		} else {
			err = image.WriteLayout(where, made, "vow/"+s.Name+":"+strings.ReplaceAll(build.Version, "+", "-"))
		}
		if err != nil {
			return err
		}
		fmt.Printf("%-14s %5.1f MB  %s  %s\n", s.Name, float64(size)/1e6, digest, where)
	}
	return nil
}

// choose is the images that are named; all if none is.
func choose(names []string) ([]image.Spec, error) {
	if len(names) == 0 {
		return image.Specs(), nil
	}
	var chosen []image.Spec
	for _, name := range names {
		found := false
		for _, s := range image.Specs() {
			if s.Name == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("cannot build %q: no such image", name)
		}
	}
	return chosen, nil
}

// stamp asks git for version, commit and its time.
func stamp(b *image.Build) error {
	ask := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", b.Root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	revision, err := ask("rev-parse", "HEAD")
	if err != nil {
		return fmt.Errorf("cannot tell the commit: %w", err)
	}
	seconds, err := ask("log", "-1", "--format=%ct")
	if err != nil {
		return fmt.Errorf("cannot tell the time of the commit: %w", err)
	}
	second, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("cannot tell the time of the commit: %w", err)
	}
	changed, err := ask("status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return fmt.Errorf("cannot tell whether the commit is all: %w", err)
	}
	b.Revision, b.Time = revision, time.Unix(second, 0)
	b.Version = release + "+" + revision[:12]
	if changed != "" {
		b.Version += ".changed"
	}
	return nil
}

// compile makes the programs of an image: static, without paths of this machine, for any Linux.
func compile(b image.Build, s image.Spec) error {
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
