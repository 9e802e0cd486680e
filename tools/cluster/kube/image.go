package kube

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vow-os/vow/tools/cluster/image"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// placeholder is the registry that tilt/k8s/ha names until somebody names theirs.
const placeholder = "registry.example/"

// Pack writes an archive of every image that objects need and this machine can make, and of those of the node itself. It returns what else the images are called in manifests, and the objects without those that have no image;
// what stands in and what is left out, it says. Our own images are made if they are wanted, and otherwise brought by another.
func Pack(root, programs, out string, objects []manifest.Object, ours bool, say func(format string, args ...any)) (aliases map[string]string, kept []manifest.Object, err error) {
	build, err := image.NewBuild(root, runtime.GOARCH)
	if err != nil {
		return nil, nil, err
	}
	build.Quick = true
	specs := []image.Spec{
		{Name: "pause", Programs: []string{"tools/cluster/cmd/pause"}},
		{Name: "coredns", Files: map[string]string{"usr/bin/coredns": filepath.Join(programs, "coredns")}},
	}
	had := map[string]bool{}
	for _, s := range image.Specs() {
		had["vow/"+s.Name] = true
		if ours {
			specs = append(specs, s)
		}
	}
	for _, s := range specs {
		if err := build.Compile(s); err != nil {
			return nil, nil, err
		}
		if err := pack(build, s, out, "vow/"+s.Name); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range StandIns() {
		if !slices.ContainsFunc(objects, s.standsIn) {
			continue
		}
		spec, err := s.Spec(root)
		if err != nil {
			say("left out: %s: %v", s.Repository, err)
			continue
		}
		if err := pack(build, spec, out, s.Repository); err != nil {
			return nil, nil, err
		}
		had[s.Repository] = true
		say("stands in for %s: %s", s.Repository, s.From)
	}
	aliases = map[string]string{}
	for _, o := range objects {
		missing := false
		for _, reference := range o.Images() {
			repository := manifest.Repository(reference)
			local := strings.TrimPrefix(repository, placeholder)
			if !had[local] {
				if !slices.ContainsFunc(StandIns(), func(s StandIn) bool { return s.Repository == repository }) {
					say("left out: %s: nothing here can stand in for %s", o, repository)
				}
				missing = true
				continue
			}
			full := local
			if strings.HasPrefix(local, "vow/") {
				full = "docker.io/" + local // as containerd calls what has no registry
			}
			// A digest is that of the image which it stands in for: containerd is told the name all the same, so that the manifests run unchanged.
			name, digest, hasDigest := strings.Cut(reference, "@")
			if hasDigest {
				aliases[repository+"@"+digest] = full + ":latest"
			} else if name != repository {
				aliases[name] = full + ":latest"
			}
		}
		if !missing {
			kept = append(kept, o)
		}
	}
	return aliases, kept, nil
}

func pack(build image.Build, s image.Spec, out, reference string) error {
	made, err := build.Make(s)
	if err != nil {
		return err
	}
	if err := image.WriteArchive(filepath.Join(out, s.Name+".tar"), made, reference); err != nil {
		return fmt.Errorf("cannot write the image of %s: %w", s.Name, err)
	}
	return nil
}
