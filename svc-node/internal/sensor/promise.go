package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
)

// Defaults and limits of promises.
const (
	// DefaultPeriod is how often a promise is sensed without a run.
	DefaultPeriod = 2 * time.Minute
	// MinPeriod keeps a configuration from making a promise a busy loop.
	MinPeriod = time.Second
	// MaxPeriod is the longest time between two sensings: that of the rarest promises of SlapOS, 86,400 minutes.
	MaxPeriod = 86400 * time.Minute
	// DefaultTimeout is how long a sensor may take.
	DefaultTimeout = 20 * time.Second
	// MaxTimeout bounds what a configuration may ask for: a run takes no longer than it has to wait for its sensors.
	MaxTimeout = 10 * time.Minute
	// MaxPromises is how many promises a partition may have: what one evaluation takes.
	MaxPromises = 1000
	// maxConfig bounds a configuration file in bytes.
	maxConfig = 64 << 10
	// maxName bounds the name of a promise in bytes, as the contract does.
	maxName = 255
)

// Kinds of promises.
const (
	KindExecutable = typev1.PromiseKind_PROMISE_KIND_EXECUTABLE
	KindPython     = typev1.PromiseKind_PROMISE_KIND_PYTHON
	KindBuiltin    = typev1.PromiseKind_PROMISE_KIND_BUILTIN
)

// Promise is one promise of a partition.
type Promise struct {
	// Name is its title, unique within the partition.
	Name string
	Kind typev1.PromiseKind
	// Path is absolute; File is the path within the partition, as people know it.
	Path, File string
	// Period is the time between two sensings without a run.
	Period  time.Duration
	Timeout time.Duration
	// BangDisabled says that its anomalies never bang (bang-on-failure=false).
	BangDisabled bool
	// Testless: runs do not sense it. Anomalyless: only runs do.
	Testless, Anomalyless bool
	// Check is what a built-in senses, Declaration the file that says it.
	Check       *builtin.Check
	Declaration []byte
	// Broken says why it cannot be sensed at all; each group fails with it. Empty = it can.
	Broken string
	// Problem says what is wrong with its configuration, of which the defaults are used then; empty = nothing.
	Problem string
}

// Equal reports whether two listings declare the same promise.
func (p Promise) Equal(q Promise) bool {
	return bytes.Equal(p.Declaration, q.Declaration) && p.Name == q.Name && p.Kind == q.Kind && p.Path == q.Path && p.File == q.File && p.Period == q.Period && p.Timeout == q.Timeout &&
		p.BangDisabled == q.BangDisabled && p.Testless == q.Testless && p.Anomalyless == q.Anomalyless && p.Broken == q.Broken && p.Problem == q.Problem
}

// With is the promise with what it says of itself when it is executed.
func (p Promise) With(t Traits) Promise {
	if t.Period > 0 {
		p.Period = min(max(t.Period, MinPeriod), MaxPeriod)
	}
	p.Testless, p.Anomalyless = t.Testless, t.Anomalyless
	return p
}

// Promises lists the promises of a partition's directory, by name.
func Promises(directory string) ([]Promise, error) {
	executables, err := listExecutables(directory)
	if err != nil {
		return nil, err
	}
	plugins, err := listPlugins(directory)
	if err != nil {
		return nil, err
	}
	promises := slices.Concat(executables, plugins)
	if len(promises) > MaxPromises {
		return nil, fmt.Errorf("cannot test %d promises of %s: the limit is %d", len(promises), directory, MaxPromises)
	}
	title(promises)
	slices.SortFunc(promises, func(a, b Promise) int { return strings.Compare(a.Name, b.Name) })
	return promises, nil
}

// title makes titles unique: of two promises with one title the first of executable, Python, built-in keeps it, the other
// goes by its whole file name. Promises come in that order.
func title(promises []Promise) {
	slices.SortStableFunc(promises, func(a, b Promise) int { return int(a.Kind) - int(b.Kind) })
	taken := make(map[string]string, len(promises))
	for i := range promises {
		p := &promises[i]
		other, collides := taken[p.Name]
		if collides {
			p.note("%s has the title %q too: this one goes by %q", other, p.Name, filepath.Base(p.File))
			// Only a file of the other folder can have taken that name, as web.py in etc/promise has beside web and web.py.
			for p.Name = filepath.Base(p.File); taken[p.Name] != ""; {
				p.Name = "plugin-" + p.Name
			}
		}
		taken[p.Name] = p.File
	}
}

// note adds to what is wrong with a promise's configuration.
func (p *Promise) note(format string, args ...any) {
	if p.Problem != "" {
		p.Problem += "; "
	}
	p.Problem += fmt.Sprintf(format, args...)
}

// listExecutables lists etc/promise. A file that is not executable is no promise.
func listExecutables(directory string) ([]Promise, error) {
	entries, err := readDir(directory, "etc/promise")
	if err != nil {
		return nil, err
	}
	configured := map[string]bool{}
	var promises []Promise
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasSuffix(name, ".json") {
			configured[name] = true
			continue
		}
		path := filepath.Join(directory, "etc/promise", name)
		info, err := os.Stat(path) // a link to a program of the release is a promise too
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || len(name) > maxName {
			continue
		}
		promises = append(promises, Promise{
			Name: name, Kind: KindExecutable, Path: path, File: "etc/promise/" + name, Period: DefaultPeriod, Timeout: DefaultTimeout,
		})
	}
	for i := range promises {
		if configured[promises[i].Name+".json"] {
			promises[i].configure(promises[i].Path + ".json")
		}
	}
	return promises, nil
}

// listPlugins lists etc/plugin: Python promises and declarations of built-ins.
func listPlugins(directory string) ([]Promise, error) {
	entries, err := readDir(directory, "etc/plugin")
	if err != nil {
		return nil, err
	}
	var promises []Promise
	for _, entry := range entries {
		name, extension := entry.Name(), filepath.Ext(entry.Name())
		if strings.HasPrefix(name, "__init__") || strings.HasPrefix(name, ".") || len(name) > maxName || extension != ".py" && extension != ".json" {
			continue
		}
		path := filepath.Join(directory, "etc/plugin", name)
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		p := Promise{
			Name: strings.TrimSuffix(name, extension), Kind: KindPython, Path: path, File: "etc/plugin/" + name,
			Period: DefaultPeriod, Timeout: DefaultTimeout,
		}
		if extension == ".json" {
			p.Kind = KindBuiltin
			p.declare(path)
		}
		promises = append(promises, p)
	}
	return promises, nil
}

// readDir reads a folder of promises; one that does not exist is empty.
func readDir(directory, folder string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(filepath.Join(directory, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the promises: %w", err)
	}
	return entries, nil
}
