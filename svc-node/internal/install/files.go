package install

import (
	"errors"
	"io/fs"
)

// partFiles is recipe.Files for one part: what it writes goes to the stage under its name.
type partFiles struct {
	stage *stage
	part  string
	// readOnly is set while the profile is resolved.
	readOnly bool
	// written are the paths, relative to the partition, of files the part made in this run.
	written []string
	touched bool
}

var errReadOnly = errors.New("cannot write while the profile is being resolved")

func (f *partFiles) put(e *entry, name string) error {
	if f.readOnly {
		return errReadOnly
	}
	e.part = f.part
	if err := f.stage.file(e, name); err != nil {
		return err
	}
	if !e.data {
		f.touched = true
		f.written = append(f.written, e.path)
	}
	return nil
}

// Write implements recipe.Files.
func (f *partFiles) Write(path string, content []byte, mode fs.FileMode) error {
	return f.put(&entry{kind: aFile, content: content, mode: mode.Perm()}, path)
}

// CreateOnce implements recipe.Files.
func (f *partFiles) CreateOnce(path string, content []byte, mode fs.FileMode) error {
	return f.put(&entry{kind: aFile, content: content, mode: mode.Perm(), data: true}, path)
}

// Link implements recipe.Files.
func (f *partFiles) Link(target, path string) error {
	return f.put(&entry{kind: aLink, content: []byte(target)}, path)
}

// MakeDirectory implements recipe.Files.
func (f *partFiles) MakeDirectory(path string, mode fs.FileMode) error {
	if f.readOnly {
		return errReadOnly
	}
	return f.stage.directory(f.part, path, mode)
}

// Read implements recipe.Files.
func (f *partFiles) Read(path string) ([]byte, error) { return f.stage.read(path) }

// Exists implements recipe.Files.
func (f *partFiles) Exists(path string) bool { return f.stage.exists(path) }
