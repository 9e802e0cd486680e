package release

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// cleanTop is the folder that holds the release: the root, or its single top directory when that has the instance profile.
func cleanTop(root *os.Root) (string, error) {
	if hasProfile(root, ".") {
		return ".", nil
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return "", err
	}
	if len(entries) == 1 && entries[0].IsDir() && hasProfile(root, entries[0].Name()) {
		return entries[0].Name(), nil
	}
	return "", errors.New("it has no instance.cfg, neither at its root nor in its single top directory")
}

// hasProfile tells whether a folder holds an instance profile, under one of the names that a run looks for.
func hasProfile(root *os.Root, dir string) bool {
	for _, name := range []string{"instance.cfg", "template.cfg"} {
		if info, err := root.Stat(strings.TrimPrefix(dir+"/"+name, "./")); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}
