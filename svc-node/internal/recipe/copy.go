package recipe

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"path"
	"strings"

	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-node/profile"
)

// copyFileList is slapos.cookbook:copyfilelist.
func copyFileList() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:copyfilelist",
		Summary: "Copies files of the release into a directory.",
		Options: []Option{
			{Name: "file-list", Required: true, Text: "Paths of the files."},
			{Name: "target-directory", Required: true, Text: "Where to."},
			{Name: "mode", Default: "640", Text: "Mode of the copies, in octal."},
		},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			return digest(in, strings.Fields(in.Text("file-list")), "file-list")
		},
		Install: func(_ context.Context, w *Work) error {
			for _, name := range strings.Fields(w.Get("file-list")) {
				if err := copyFile(w, "file-list", name, path.Join(w.Get("target-directory"), path.Base(name))); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// download is slapos.recipe.build:download for files that are there already.
func download() *Recipe {
	return &Recipe{
		Name:    "slapos.recipe.build:download",
		Aliases: []string{"slapos.recipe.download", "hexagonit.recipe.download"},
		Summary: "Copies a file of the release and checks it. An instance profile downloads nothing: URLs of files only.",
		Options: []Option{
			{Name: "url", Required: true, Text: "Path or file:// URL of the file."},
			{Name: "md5sum", Text: "Its checksum."},
			{Name: "destination", Text: "Path of the copy; target is another spelling."},
			{Name: "filename", Text: "Name of the copy in ${buildout:parts-directory}/SECTION, when no destination is given."},
			{Name: "mode", Default: "640", Text: "Mode of the copy, in octal."},
		},
		Provides:  []Option{{Name: "target", Text: "Path of the copy."}, {Name: "location", Text: "Its directory."}},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			provided, target, err := fetched(in, "file")
			if err == nil && target == "" {
				name := in.Text("filename")
				if name == "" {
					name = path.Base(local(in.Text("url")))
				}
				target, err = partDirectory(in)
				target = path.Join(target, name)
			}
			if err != nil {
				return provided, err
			}
			provided.Options["target"], provided.Options["location"] = profile.Text(target), profile.Text(path.Dir(target))
			return provided, nil
		},
		Install: func(_ context.Context, w *Work) error {
			return copyFile(w, "url", local(w.Get("url")), w.Get("target"))
		},
	}
}

// local is the path that a file:// URL or a path names.
func local(url string) string { return strings.TrimPrefix(url, "file://") }

// fetched reads the options url, md5sum and destination of what only looks like a download: the file is there already. what
// is what it is called. target is empty when none is named.
func fetched(in *Init, what string) (provided profile.Provided, target string, err error) {
	source := local(in.Text("url"))
	if strings.Contains(source, "://") {
		return provided, "", in.Error("url", "cannot download %s while deploying an instance: let the software release bring the %s", telemetry.Redacted(source), what)
	}
	if provided, err = digest(in, []string{source}, "url"); err != nil {
		return provided, "", err
	}
	if want, got := in.Text("md5sum"), provided.Options[digestOption].String(); want != "" && want != got {
		return provided, "", in.Error("md5sum", "cannot use %s: its checksum is %s", source, got)
	}
	if target = in.Text("destination"); target == "" {
		target = in.Text("target")
	}
	return provided, target, nil
}

// partDirectory is the directory of a part that is told no other.
func partDirectory(in *Init) (string, error) {
	parts, err := in.Lookup("buildout", "parts-directory", "url")
	if err != nil {
		return "", err
	}
	return path.Join(parts.String(), in.Name()), nil
}

// digestOption makes a part change when the files it copies do.
const digestOption = "_digest_"

func digest(in *Init, names []string, option string) (profile.Provided, error) {
	sum := md5.New()
	for _, name := range names {
		content, err := in.Files.Read(name)
		if err != nil {
			return profile.Provided{}, in.Error(option, "%w", err)
		}
		sum.Write(content)
	}
	return profile.Provided{Options: map[string]profile.Value{digestOption: profile.Text(hex.EncodeToString(sum.Sum(nil)))}}, nil
}

func copyFile(w *Work, option, from, to string) error {
	mode, err := w.Mode("mode", 0o640)
	if err != nil {
		return err
	}
	content, err := w.Files.Read(from)
	if err != nil {
		return w.Error(option, "%w", err)
	}
	if err := w.Files.Write(to, content, mode); err != nil {
		return w.Error(option, "%w", err)
	}
	return nil
}
