package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// DescriptionFile is the file at the root of a release that names its schemas.
const DescriptionFile = "software.cfg.json"

// File is a file of a bundle.
type File struct {
	// Path from the root of the release, without a leading slash.
	Path    string
	Content []byte
}

// Bundle reads the description of a release and all files that its schemas refer to, by path from the release's root: what is needed to check
// parameters elsewhere. It is sorted by path, so that the same release always gives the same; nil = the release has no description. problems tell which
// schemas cannot be used; what can be is there all the same. Errors: the description cannot be read, or it is too much (MaxFiles, MaxBytes).
func Bundle(read Read) (files []File, problems []string, err error) {
	gathered := map[string][]byte{}
	size := 0
	gather := func(name string) ([]byte, error) {
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		if content, ok := gathered[name]; ok {
			return content, nil
		}
		content, err := read(name)
		if err != nil {
			return nil, err
		}
		if size += len(content); size > MaxBytes || len(gathered) >= MaxFiles {
			return nil, errTooMuch
		}
		gathered[name] = content
		return content, nil
	}
	d, err := Open("/"+DescriptionFile, gather)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, t := range d.Types() {
		for _, name := range []string{t.Request, t.Response} {
			if name == "" {
				continue
			}
			if _, err := d.compile(name); err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", t.Name, err))
			}
		}
		if size > MaxBytes || len(gathered) > MaxFiles {
			return nil, nil, errTooMuch
		}
	}
	for name, content := range gathered {
		files = append(files, File{name, content})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, problems, nil
}

var errTooMuch = fmt.Errorf("cannot use the release's schemas: they have more than %d files or %d bytes", MaxFiles, MaxBytes)

// Digest names a bundle by its content: 64 hexadecimal digits of SHA-256.
func Digest(files []File) string {
	sum := sha256.New()
	var size [8]byte
	for _, f := range files {
		for _, part := range [][]byte{[]byte(f.Path), f.Content} {
			binary.BigEndian.PutUint64(size[:], uint64(len(part)))
			sum.Write(size[:])
			sum.Write(part)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// OpenBundle opens the description of a bundle. Errors: it has none, or is too much.
func OpenBundle(files []File) (*Description, error) {
	size, byPath := 0, make(map[string][]byte, len(files))
	for _, f := range files {
		size += len(f.Content)
		byPath["/"+f.Path] = f.Content
	}
	if size > MaxBytes || len(files) > MaxFiles {
		return nil, errTooMuch
	}
	return Open("/"+DescriptionFile, func(name string) ([]byte, error) {
		if content, ok := byPath[name]; ok {
			return content, nil
		}
		return nil, fmt.Errorf("cannot read %s: %w", name, fs.ErrNotExist)
	})
}

// Type is a software type that a description names.
type Type struct {
	// Name is what an instance requests.
	Name, Title string
	// Shared is true for shared instances of that type.
	Shared bool
	// Serialisation is xml or json-in-xml; empty = the description does not say.
	Serialisation string
	// Request and Response are the paths of the schemas of parameters and of what is published, as the description writes them; empty = none.
	Request, Response string
}

// Types lists them, by name.
func (d *Description) Types() []Type {
	var all []Type
	for _, name := range sortedKeys(d.types) {
		entry := d.types[name]
		t := Type{Name: name, Title: entry.Title, Shared: entry.Shared, Serialisation: entry.Serialisation, Request: entry.Request, Response: entry.Response}
		if entry.Type != "" {
			t.Name = entry.Type
		}
		if t.Serialisation == "" {
			t.Serialisation = d.serialisation
		}
		all = append(all, t)
	}
	return all
}

// Describes tells whether there is a schema for the parameters of a software type.
func (d *Description) Describes(kind string, shared bool) bool {
	entry, ok := d.entry(kind, shared)
	return ok && entry.Request != ""
}

// Given are parameters as a schema and a profile see them: those that travelled as JSON under `_` beside the others, without empty ones, which are the same as none.
func Given(parameters map[string]string, serialisation string) (map[string]any, error) {
	given := make(map[string]any, len(parameters))
	for name, value := range parameters {
		given[name] = value
	}
	if text, ok := parameters["_"]; ok && serialisation == "json-in-xml" {
		delete(given, "_")
		if strings.TrimSpace(text) != "" {
			if nesting([]byte(text)) > MaxNesting {
				return nil, fmt.Errorf("its \"_\" is nested deeper than %d", MaxNesting)
			}
			var object map[string]any
			if json.Unmarshal([]byte(text), &object) != nil { // what it says quotes the text, which may be a secret
				return nil, errors.New("its \"_\" is not a JSON object")
			}
			maps.Copy(given, object)
		}
	}
	maps.DeleteFunc(given, func(_ string, value any) bool { return value == nil || value == "" })
	return given, nil
}
