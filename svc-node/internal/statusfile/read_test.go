package statusfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

func TestALogIsReadBackAsItWasWritten(t *testing.T) {
	dir, user := place(t)
	w := NewWriter()
	for i := range 5 {
		s := status(typev1.LogLevel_LOG_LEVEL_ERROR, "broken\nbadly", "again")
		s.At, s.Number = at.Add(time.Duration(i)*time.Second), uint64(i+1)
		if i == 4 {
			s = status(typev1.LogLevel_LOG_LEVEL_INFO, "all well")
			s.At = at.Add(time.Minute)
		}
		if err := w.Write(dir, user, s); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Executions(filepath.Join(dir, ".slapgrid/promise/log"), user, "web", 3)
	if err != nil || len(all) != 3 {
		t.Fatalf("%v, %v", all, err)
	}
	if e := all[1]; !e.At.Equal(at.Add(3*time.Second)) || len(e.Entries) != 2 || e.Entries[0].GetMessage() != "broken\nbadly" || e.Entries[1].GetLevel() != typev1.LogLevel_LOG_LEVEL_ERROR {
		t.Errorf("the second is %v", e)
	}
	if e := all[2]; !e.At.Equal(at.Add(time.Minute)) || e.Entries[0].GetLevel() != typev1.LogLevel_LOG_LEVEL_INFO {
		t.Errorf("the newest is %v", e)
	}
	r, err := LastResult(dir, user, "web")
	if err != nil || r != (Result{Anomaly: true, Message: "all well", At: r.At}) || !r.At.Equal(at.Add(time.Minute)) {
		t.Errorf("the result is %+v, %v", r, err)
	}
	if none, err := Executions(dir, user, "nothing", 3); err != nil || none != nil {
		t.Errorf("a promise without a log has %v, %v", none, err)
	}
}

func TestLogsGoWhereTheyAreWanted(t *testing.T) {
	dir, user := place(t)
	logs := filepath.Join(dir, "var", "log", "promise")
	if err := NewWriter().In(logs).Write(dir, user, status(typev1.LogLevel_LOG_LEVEL_INFO, "all well")); err != nil {
		t.Fatal(err)
	}
	if all, err := Executions(logs, user, "web", 1); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestAFIFOInThePlaceOfALogHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "web.log"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Executions(dir, privilege.User{}, "web", 1); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("error is %v", err)
	}
}

// FuzzExecutions: whatever is in a log, each execution has an entry and no more are read than asked for.
func FuzzExecutions(f *testing.F) {
	f.Add("2026-03-01 12:00:00 - ERROR - 1772366400-107 - broken\nbadly\n")
	f.Add("9999-99-99 99:99:99 - X - 1-100 - \n\xff")
	f.Fuzz(func(t *testing.T, content string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.log"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := Executions(dir, privilege.User{}, "p", 3)
		if err != nil || len(all) > 3 {
			t.Fatalf("%d, %v", len(all), err)
		}
		for _, e := range all {
			if len(e.Entries) == 0 || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
		}
	})
}
