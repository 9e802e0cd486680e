package pythonhost

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// program is vowhost.py with all that it and the plugins import.
//
//go:embed all:python
var program embed.FS

// Unpack writes the program below directory, in a folder named by its content, and returns that folder. Idempotent.
func Unpack(directory string) (string, error) {
	files := map[string][]byte{}
	sum := sha256.New()
	err := fs.WalkDir(program, "python", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if filepath.Ext(path) != ".py" {
			return nil
		}
		content, err := program.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", path, len(content))
		sum.Write(content)
		relative, err := filepath.Rel("python", path)
		files[relative] = content
		return err
	})
	if err != nil {
		return "", fmt.Errorf("cannot unpack the Python host: %w", err)
	}
	folder := filepath.Join(directory, "python-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", fmt.Errorf("cannot unpack the Python host: %w", err)
	}
	stage, err := os.MkdirTemp(directory, "stage-")
	if err != nil {
		return "", fmt.Errorf("cannot unpack the Python host: %w", err)
	}
	defer func() { _ = os.RemoveAll(stage) }()
	if err := os.Chmod(stage, 0o755); err != nil { // a host of a partition's user reads it
		return "", fmt.Errorf("cannot unpack the Python host: %w", err)
	}
	for name, content := range files {
		path := filepath.Join(stage, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
		if err != nil {
			return "", fmt.Errorf("cannot unpack the Python host: %w", err)
		}
	}
	if err := os.Rename(stage, folder); err != nil {
		if _, other := os.Stat(folder); other == nil {
			return folder, nil // another agent of this machine was first
		}
		return "", fmt.Errorf("cannot unpack the Python host: %w", err)
	}
	return folder, nil
}
