// Command image builds the images of vow: it compiles the programs, static, and packs them.
//
//	image [-out DIRECTORY] [NAME …]     OCI layouts, DIRECTORY/NAME
//	image -archive FILE -ref REF NAME   one image as docker load reads it
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vow-os/vow/tools/cluster/image"
)

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
	build, err := image.NewBuild(root, arch)
	if err != nil {
		return err
	}
	build.Quick = archive != ""
	for _, s := range specs {
		if err := build.Compile(s); err != nil {
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
