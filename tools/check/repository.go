package check

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ModulePrefix is the import path of the repository's root; a package's import path is this, a slash and its folder.
const ModulePrefix = "github.com/vow-os/vow"

// Finding is one breach of a rule.
type Finding struct {
	// Path is relative to the repository's root. Line is 0 when the breach is about the whole file or folder.
	Path string
	Line int
	// Message says what is wrong and what to do instead.
	Message string
}

func (f Finding) String() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Message)
}

// File is one parsed Go file.
type File struct {
	Path      string
	Test      bool // its name ends in _test.go
	Generated bool // it carries the "Code generated … DO NOT EDIT." line
	Lines     int
	Syntax    *ast.File

	positions *token.FileSet
}

// Line returns the line of a position in the file, from 1.
func (f *File) Line(pos token.Pos) int { return f.positions.Position(pos).Line }

// Package is a folder with Go files. An external test package (name_test) counts with the package beside it.
type Package struct {
	Dir   string
	Name  string
	Files []*File
}

// Generated reports whether all files of the package are generated.
func (p *Package) Generated() bool {
	return !slices.ContainsFunc(p.Files, func(f *File) bool { return !f.Generated })
}

// Repository is what the rules look at.
type Repository struct {
	// FS is rooted at the repository's root.
	FS fs.FS
	// Paths are all files looked at, in lexical order.
	Paths []string
	// Packages are in the order of their folders.
	Packages []*Package
}

// Load reads and parses the repository rooted at fsys. A Go file that does not parse is an error: no rule can judge it.
func Load(fsys fs.FS) (*Repository, error) {
	r := &Repository{FS: fsys}
	byDir := map[string]*Package{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(p) {
				return fs.SkipDir
			}
			return nil
		}
		r.Paths = append(r.Paths, p)
		if path.Ext(p) != ".go" {
			return nil
		}
		f, err := parse(fsys, p)
		if err != nil {
			return err
		}
		dir := path.Dir(p)
		pkg := byDir[dir]
		if pkg == nil {
			pkg = &Package{Dir: dir}
			byDir[dir] = pkg
			r.Packages = append(r.Packages, pkg)
		}
		if name := f.Syntax.Name.Name; !f.Test || pkg.Name == "" {
			pkg.Name = strings.TrimSuffix(name, "_test")
		}
		pkg.Files = append(pkg.Files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load the repository: %w", err)
	}
	slices.SortFunc(r.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return r, nil
}

func skipped(dir string) bool {
	name := path.Base(dir)
	if dir == "." {
		return false
	}
	return strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || dir == "bin" || dir == "dist"
}

func parse(fsys fs.FS, p string) (*File, error) {
	src, err := fs.ReadFile(fsys, p)
	if err != nil {
		return nil, err
	}
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, p, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &File{
		Path:      p,
		Test:      strings.HasSuffix(p, "_test.go"),
		Generated: ast.IsGenerated(syntax),
		Lines:     bytes.Count(src, []byte("\n")),
		Syntax:    syntax,
		positions: positions,
	}, nil
}

// written calls do for every Go file that a person wrote.
func (r *Repository) written(do func(*Package, *File)) {
	for _, p := range r.Packages {
		for _, f := range p.Files {
			if !f.Generated {
				do(p, f)
			}
		}
	}
}

// within reports whether dir is parent or lies below it.
func within(dir, parent string) bool {
	return dir == parent || strings.HasPrefix(dir, parent+"/")
}
