package statusfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const nobody = 65534

// place is a partition's directory and user: another one where the tests are root.
func place(t *testing.T) (string, privilege.User) {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		return dir, privilege.User{}
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for at := filepath.Dir(dir); at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at, info.Mode()|0o005); err != nil {
			t.Fatal(err)
		}
	}
	return dir, privilege.Other("nobody", nobody, nobody)
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func status(level typev1.LogLevel, messages ...string) Status {
	s := Status{Title: "web", Name: "web.json", Path: "/p/etc/plugin/web.json", At: at, Took: 20 * time.Millisecond, Number: 7, Anomaly: true}
	for _, m := range messages {
		s.Entries = append(s.Entries, &typev1.LogEntry{Level: level, Message: m})
	}
	s.Message, s.Failed = strings.Join(messages, "\n"), level >= typev1.LogLevel_LOG_LEVEL_ERROR
	return s
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheLogHasTheFormOfSlapOS(t *testing.T) {
	dir, user := place(t)
	w := NewWriter()
	if err := w.Write(dir, user, status(typev1.LogLevel_LOG_LEVEL_ERROR, "broken\nbadly", "again")); err != nil {
		t.Fatal(err)
	}
	log := read(t, dir, ".slapgrid/promise/log/web.log")
	want := at.Local().Format("2006-01-02 15:04:05") + " - ERROR - 1772366400-107 - "
	if log != want+"broken\nbadly\n"+want+"again\n" {
		t.Errorf("the log is %q", log)
	}
	// The expression by which slapos.core reads a line back; what does not match continues the line before.
	line := regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}\s+\d{2}:\d{2}:\d{2})\s+\-?\s*(\w+)\s+\-?\s+(\d+\-\d{3})\s+\-?\s*(.*)$`)
	for i, text := range strings.Split(strings.TrimSpace(log), "\n") {
		if line.MatchString(text) != (i != 1) {
			t.Errorf("line %q is read wrongly", text)
		}
	}
}

func TestTheResultIsWrittenWhenItChanged(t *testing.T) {
	dir, user := place(t)
	w := NewWriter()
	path := filepath.Join(dir, ".slapgrid/promise/result/web.status.json")
	ok := status(typev1.LogLevel_LOG_LEVEL_INFO, "all well")
	if err := w.Write(dir, user, ok); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal([]byte(read(t, path)), &d); err != nil {
		t.Fatal(err)
	}
	if d != (document{"web", "web.json", "/p/etc/plugin/web.json", 0.02, result{"Anomaly Result", false, "2026-03-01T12:00:00+0000", "all well"}}) {
		t.Errorf("result is %+v", d)
	}
	inode := func() uint64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	first := inode()
	ok.At, ok.Took = ok.At.Add(time.Minute), time.Second
	if err := w.Write(dir, user, ok); err != nil || inode() != first {
		t.Errorf("what says nothing new is written, %v", err)
	}
	for _, change := range []func(*Status){func(s *Status) { s.Failed = true }, func(s *Status) { s.Anomaly = false }, func(s *Status) { s.Message = "x" }} {
		before := read(t, path)
		change(&ok)
		if err := w.Write(dir, user, ok); err != nil || read(t, path) == before {
			t.Errorf("a change is not written, %v", err)
		}
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("in the folder are %v, %v", files, err)
	}
}

func TestFilesBelongToThePartitionsUser(t *testing.T) {
	dir, user := place(t)
	if err := NewWriter().Write(dir, user, status(typev1.LogLevel_LOG_LEVEL_INFO, "x")); err != nil {
		t.Fatal(err)
	}
	want := uint32(os.Getuid()) //nolint:gosec // an id
	if user.Switch {
		want = user.UID
	}
	for _, name := range []string{".slapgrid", ".slapgrid/promise/log/web.log", ".slapgrid/promise/result/web.status.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != want || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
}

func TestNoLinkIsFollowed(t *testing.T) {
	for _, link := range []string{".slapgrid", ".slapgrid/promise", ".slapgrid/promise/log", ".slapgrid/promise/log/web.log", ".slapgrid/promise/result/web.status.json.tmp"} {
		dir, user := place(t)
		elsewhere := filepath.Join(dir, "elsewhere")
		victim := filepath.Join(elsewhere, "victim")
		if err := user.Do(func() error {
			for _, folder := range []string{elsewhere, filepath.Dir(filepath.Join(dir, link))} {
				if err := os.MkdirAll(folder, 0o750); err != nil {
					return err
				}
			}
			if err := os.WriteFile(victim, nil, 0o600); err != nil {
				return err
			}
			target := elsewhere
			if strings.Contains(link, "web") {
				target = victim
			}
			return os.Symlink(target, filepath.Join(dir, link))
		}); err != nil {
			t.Fatal(err)
		}
		if err := NewWriter().Write(dir, user, status(typev1.LogLevel_LOG_LEVEL_INFO, "x")); err == nil {
			t.Errorf("%s: a link is followed", link)
		}
		if files, err := os.ReadDir(elsewhere); err != nil || len(files) != 1 || read(t, victim) != "" {
			t.Errorf("%s: behind the link are %v, %v", link, files, err)
		}
	}
}

func TestAPipeInTheLogsPlaceBlocksNobody(t *testing.T) {
	dir, user := place(t)
	if err := user.Do(func() error {
		if err := os.MkdirAll(filepath.Join(dir, ".slapgrid/promise/log"), 0o750); err != nil {
			return err
		}
		return syscall.Mkfifo(filepath.Join(dir, ".slapgrid/promise/log/web.log"), 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	if err := NewWriter().Write(dir, user, status(typev1.LogLevel_LOG_LEVEL_INFO, "x")); err == nil {
		t.Error("a pipe is written to")
	}
	read(t, dir, ".slapgrid/promise/result/web.status.json") // the result is written all the same
}

func TestALogIsBoundedWithOneOlderFile(t *testing.T) {
	dir, user := place(t)
	w := NewWriter()
	long := status(typev1.LogLevel_LOG_LEVEL_INFO, strings.Repeat("x", 100_000))
	for range 40 {
		if err := w.Write(dir, user, long); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, ".slapgrid/promise/log"))
	if err != nil || len(files) != 2 {
		t.Fatalf("in the folder are %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Size() > MaxLog+200_000 {
			t.Errorf("%s has %v, %v", f.Name(), info, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	dir := b.TempDir()
	w := NewWriter()
	s := status(typev1.LogLevel_LOG_LEVEL_INFO, "all well")
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(dir, privilege.User{}, s); err != nil {
			b.Fatal(err)
		}
	}
}
