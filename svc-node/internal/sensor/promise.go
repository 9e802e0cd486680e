package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Defaults and limits of promises.
const (
	// DefaultPeriod is how often a promise is sensed without a run.
	DefaultPeriod = 2 * time.Minute
	// MinPeriod keeps a configuration from making a promise a busy loop.
	MinPeriod = time.Second
	// DefaultTimeout is how long a sensor may take.
	DefaultTimeout = 20 * time.Second
	// MaxTimeout bounds what a configuration may ask for: a run takes no longer than it has to wait for its sensors.
	MaxTimeout = 10 * time.Minute
	// MaxPromises is how many promises a partition may have: what one evaluation takes.
	MaxPromises = 1000
	// maxConfig bounds a configuration file in bytes.
	maxConfig = 64 << 10
)

// Promise is one promise of a partition.
type Promise struct {
	// Name is the file's name; Path is absolute.
	Name string
	Path string
	// Period is the time between two sensings without a run.
	Period  time.Duration
	Timeout time.Duration
	// BangDisabled says that its anomalies never bang (bang-on-failure=false).
	BangDisabled bool
	// Problem says what is wrong with its configuration, of which the defaults are used then; empty = nothing.
	Problem string
}

// Promises lists the promises of a partition's directory, by name. A file that is not executable is no promise.
func Promises(directory string) ([]Promise, error) {
	folder := filepath.Join(directory, "etc", "promise")
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the promises: %w", err)
	}
	configured := map[string]bool{}
	var promises []Promise
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasSuffix(name, ".json") {
			configured[name] = true
			continue
		}
		path := filepath.Join(folder, name)
		info, err := os.Stat(path) // a link to a program of the release is a promise too
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || len(name) > 255 {
			continue
		}
		promises = append(promises, Promise{Name: name, Path: path, Period: DefaultPeriod, Timeout: DefaultTimeout})
	}
	if len(promises) > MaxPromises {
		return nil, fmt.Errorf("cannot test %d promises of %s: the limit is %d", len(promises), folder, MaxPromises)
	}
	for i := range promises {
		if configured[promises[i].Name+".json"] {
			promises[i].configure(filepath.Join(folder, promises[i].Name+".json"))
		}
	}
	slices.SortFunc(promises, func(a, b Promise) int { return strings.Compare(a.Name, b.Name) })
	return promises, nil
}

// configuration is etc/promise/<name>.json. bang-on-failure may be a JSON boolean or the words true and false, as
// profiles write options.
type configuration struct {
	Periodicity   *float64        `json:"periodicity"`
	Timeout       *float64        `json:"timeout"`
	BangOnFailure json.RawMessage `json:"bang-on-failure"`
}

func (p *Promise) configure(path string) {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	defer func() {
		if len(problems) > 0 {
			p.Problem = "cannot use " + filepath.Base(path) + ": " + strings.Join(problems, "; ")
		}
	}()
	content, err := readConfig(path)
	if err != nil {
		problem("%v", err)
		return
	}
	var c configuration
	if err := json.Unmarshal(content, &c); err != nil {
		problem("%v", err)
		return
	}
	if c.Periodicity != nil {
		if d, ok := seconds(*c.Periodicity, MinPeriod, 24*time.Hour); ok {
			p.Period = d
		} else {
			problem("periodicity is 1 to 86400 seconds")
		}
	}
	if c.Timeout != nil {
		if d, ok := seconds(*c.Timeout, time.Millisecond, MaxTimeout); ok {
			p.Timeout = d
		} else {
			problem("timeout is above 0 and at most 600 seconds")
		}
	}
	switch strings.ToLower(strings.Trim(string(c.BangOnFailure), `"`)) {
	case "", "null", "true", "1":
	case "false", "0":
		p.BangDisabled = true
	default:
		problem("bang-on-failure is true or false")
	}
}

// readConfig reads what the partition's user wrote, which may be anything, and may become something else meanwhile.
func readConfig(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // a file of the partition, opened as its user
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read from
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	content, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err == nil && len(content) > maxConfig {
		err = fmt.Errorf("not a file of at most %d bytes", maxConfig)
	}
	return content, err
}

func seconds(value float64, least, most time.Duration) (time.Duration, bool) {
	if math.IsNaN(value) || value < least.Seconds() || value > most.Seconds() {
		return 0, false
	}
	return time.Duration(value * float64(time.Second)), true
}
