package statusfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// maxResult bounds a result file in bytes: a message of 5000 characters, escaped.
const maxResult = 64 << 10

// line is how a line of a log begins; one that does not continues the one before.
var line = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}\s+\d{2}:\d{2}:\d{2})\s+-?\s*(\w+)\s+-?\s+(\d+-\d{3})\s+-?\s*(.*)$`)

// Execution is one execution of a promise as its log has it.
type Execution struct {
	At      time.Time
	Entries []*typev1.LogEntry
}

// Executions reads the newest executions of a promise from its log in a folder, oldest first, at most so many, of the last
// MaxLog bytes. A log that is not there has none.
func Executions(folder string, user privilege.User, title string, most int) ([]Execution, error) {
	content, err := tail(filepath.Join(folder, title+".log"), user, MaxLog)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot read the log of promise %s: %w", title, err)
	}
	var all []Execution
	transaction := ""
	for text := range bytes.Lines(content) {
		text := strings.ToValidUTF8(strings.TrimRight(string(text), "\n"), "\uFFFD")
		parts := line.FindStringSubmatch(text)
		if parts == nil {
			if n := len(all); n > 0 {
				last := all[n-1].Entries[len(all[n-1].Entries)-1]
				last.Message += "\n" + text
			}
			continue
		}
		at, err := time.ParseInLocation("2006-01-02 15:04:05", strings.Join(strings.Fields(parts[1]), " "), time.Local) //nolint:gosmopolitan // as slapos.core writes it
		if err != nil {
			continue // a line that a promise made up
		}
		if parts[3] != transaction || len(all) == 0 {
			transaction = parts[3]
			all = append(all, Execution{At: at})
		}
		e := &all[len(all)-1]
		e.Entries = append(e.Entries, &typev1.LogEntry{Level: level(parts[2]), Message: parts[4]})
	}
	return all[max(0, len(all)-most):], nil
}

// level is a level as a log names it; one that nobody knows is no failure.
func level(name string) typev1.LogLevel {
	if l, ok := typev1.LogLevel_value["LOG_LEVEL_"+name]; ok && l > 0 {
		return typev1.LogLevel(l)
	}
	return typev1.LogLevel_LOG_LEVEL_INFO
}

// Result is what a result file says.
type Result struct {
	// Anomaly: it is of the anomaly detector, else of the test.
	Anomaly, Failed bool
	Message         string
	// At is when it was first so; zero = the file does not say.
	At time.Time
}

// LastResult reads the last result of a promise in a partition's directory.
func LastResult(directory string, user privilege.User, title string) (Result, error) {
	content, err := tail(filepath.Join(directory, ".slapgrid", "promise", "result", title+".status.json"), user, maxResult)
	if err != nil {
		return Result{}, fmt.Errorf("cannot read the result of promise %s: %w", title, err)
	}
	var d document
	if err := json.Unmarshal(content, &d); err != nil {
		return Result{}, fmt.Errorf("cannot read the result of promise %s: %w", title, err)
	}
	r := Result{Anomaly: d.Result.Type == "Anomaly Result", Failed: d.Result.Failed, Message: strings.ToValidUTF8(d.Result.Message, "\uFFFD")}
	if at, err := time.Parse("2006-01-02T15:04:05-0700", d.Result.Date); err == nil {
		r.At = at
	}
	return r, nil
}

// tail reads the last bytes of a regular file as a user.
func tail(path string, user privilege.User, most int64) (content []byte, err error) {
	err = user.Do(func() error {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // as the partition's user
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no file", path)
		}
		if _, err := f.Seek(max(0, info.Size()-most), io.SeekStart); err != nil {
			return err
		}
		content, err = io.ReadAll(io.LimitReader(f, most))
		return err
	})
	return content, err
}
