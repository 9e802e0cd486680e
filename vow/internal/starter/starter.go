package starter

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/vow-os/vow/svc-node/app"
)

//go:embed template
var templates embed.FS

// Kinds are the kinds of promises.
var Kinds = []string{"python", "executable", "builtin"} //nolint:gochecknoglobals // a constant

// name is what a promise may be called: a file of any system, a word of a shell.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Starter is a promise that is to be begun.
type Starter struct {
	// Directory is the partition's, or a release's that holds etc/plugin and etc/promise.
	Directory string
	// Name is its title.
	Name string
	// Kind is one of Kinds.
	Kind string
	// Sensor is that of a builtin.
	Sensor string
}

// file is one to write.
type file struct {
	path    string
	content []byte
	mode    fs.FileMode
}

// Write writes the promise and its test, and returns their paths below the directory. Where one of them cannot be written,
// none is left.
func (s Starter) Write() (paths []string, err error) {
	cannot := func(err error) ([]string, error) { return nil, fmt.Errorf("cannot begin promise %q: %w", s.Name, err) }
	files, err := s.files()
	if err != nil {
		return cannot(err)
	}
	if err := s.free(); err != nil {
		return cannot(err)
	}
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(s.Directory, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the partition's user reads it
			return cannot(err)
		}
		to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) {
			return cannot(fmt.Errorf("%s exists, and is not overwritten", f.path))
		}
		if err != nil {
			return cannot(err)
		}
		made = append(made, path)
		_, err = to.Write(f.content)
		if err = errors.Join(err, to.Close()); err != nil {
			return cannot(err)
		}
		paths = append(paths, f.path)
	}
	return paths, nil
}

// files are what the promise consists of.
func (s Starter) files() ([]file, error) {
	if !name.MatchString(s.Name) || strings.HasSuffix(s.Name, ".py") || strings.HasSuffix(s.Name, ".json") {
		return nil, errors.New("want a name of letters, digits, . _ and -, which begins with a letter or digit, has no ending .py or .json, and has 100 characters at most")
	}
	switch s.Kind {
	case "python":
		return s.filled(file{"etc/plugin/" + s.Name + ".py", nil, 0o644}, "plugin.py", file{"test/test_" + s.Name + ".py", nil, 0o644}, "test_plugin.py")
	case "executable":
		return s.filled(file{"etc/promise/" + s.Name, nil, 0o755}, "executable.sh", file{"test/test_" + s.Name + ".sh", nil, 0o755}, "test_executable.sh")
	case "builtin":
		config, err := app.BuiltinExample(s.Sensor)
		if err != nil {
			return nil, err
		}
		var content bytes.Buffer
		if err := json.Indent(&content, fmt.Appendf(nil, `{"sensor": %q, "config": %s, "periodicity": 2}`, s.Sensor, config), "", "  "); err != nil {
			return nil, err
		}
		content.WriteByte('\n')
		return []file{{"etc/plugin/" + s.Name + ".json", content.Bytes(), 0o644}}, nil
	}
	return nil, fmt.Errorf("%q is no kind of promise: want %s", s.Kind, strings.Join(Kinds, ", "))
}

// filled fills templates in.
func (s Starter) filled(promise file, from string, test file, testFrom string) ([]file, error) {
	for f, template := range map[*file]string{&promise: from, &test: testFrom} {
		content, err := templates.ReadFile("template/" + template)
		if err != nil {
			return nil, err
		}
		f.content = bytes.ReplaceAll(content, []byte("{{name}}"), []byte(s.Name))
	}
	return []file{promise, test}, nil
}

// free tells whether no promise of the directory has the name.
func (s Starter) free() error {
	promises, err := app.Promises(s.Directory)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(promises, func(p app.Promise) bool { return p.Name == s.Name }); i >= 0 {
		return fmt.Errorf("%s has that title already", promises[i].File)
	}
	return nil
}
