package disk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a watch of one good folder whose probes end as the test says.
type watched struct {
	*Watch

	mu     sync.Mutex
	told   []error
	probes int
	fails  error
}

// fail says how probes end from now on.
func (w *watched) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = err
}

func newWatched(t *testing.T, least int64) *watched {
	t.Helper()
	w := &watched{}
	w.Watch = NewWatch([]Folder{{Path: t.TempDir(), Least: least}}, 0, func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, err)
	})
	w.probe = func(string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.probes++
		return w.fails
	}
	return w
}

// heard is what was told so far, and how many probes there were.
func (w *watched) heard() (told []error, probes int) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told), w.probes
}

func (w *watched) start(t *testing.T) {
	t.Helper()
	go func() { _ = w.Run(t.Context()) }()
	synctest.Wait()
}

func TestADiskIsBadAtOnceAfterAWriteFailedAndGoodAtTheNextLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, 0)
		w.start(t)
		time.Sleep(time.Hour)
		if told, probes := w.heard(); len(told) != 0 || probes != 0 {
			t.Fatalf("a good disk was written to %d times, told is %v", probes, told)
		}
		w.fail(errors.New("input/output error"))
		w.Failed()
		if told, _ := w.heard(); len(told) != 1 || told[0] == nil || w.Err() == nil || w.Check() == nil {
			t.Fatalf("told is %v, it is %v", told, w.Err())
		}
		time.Sleep(time.Minute)
		if told, _ := w.heard(); len(told) != 1 {
			t.Errorf("told again and again: %v", told)
		}
		w.fail(nil)
		time.Sleep(Every)
		told, probes := w.heard()
		if len(told) != 2 || told[1] != nil || w.Err() != nil {
			t.Errorf("told is %v, it is %v", told, w.Err())
		}
		time.Sleep(time.Hour)
		if _, after := w.heard(); after != probes {
			t.Error("a good disk is written to")
		}
	})
}

func TestAWriteThatFailedForAnotherReasonTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, 0)
		w.start(t)
		w.Failed()
		time.Sleep(time.Minute)
		if told, probes := w.heard(); len(told) != 0 || probes != 1 {
			t.Errorf("told is %v after %d probes", told, probes)
		}
	})
}

func TestADiskThatFlapsWakesNobodyAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t, 0)
		w.start(t)
		for range 12 * 60 {
			w.fail(errors.New("no space left on device"))
			w.Failed()
			time.Sleep(30 * time.Second)
			w.fail(nil)
			time.Sleep(30 * time.Second)
		}
		if told, _ := w.heard(); len(told) > 10 {
			t.Errorf("told %d times in half a day", len(told))
		}
		time.Sleep(time.Hour + time.Minute)
		if w.Err() != nil {
			t.Errorf("after an hour without a failure it is %v", w.Err())
		}
	})
}

func TestTheKernelsWordIsTakenWithoutAWrite(t *testing.T) {
	w := newWatched(t, 1<<60)
	if err := w.Check(); err == nil || !strings.Contains(err.Error(), "MiB free") || w.probes != 0 {
		t.Errorf("a disk without room is %v after %d probes", err, w.probes)
	}
	gone := NewWatch([]Folder{{Path: filepath.Join(t.TempDir(), "gone")}}, 0, nil)
	if err := gone.Check(); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is gone is %v", err)
	}
}

func TestAProbeLeavesNothingAndSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	if err := probe(dir); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := probe(filepath.Join(dir, "gone")); err == nil || !strings.HasPrefix(err.Error(), "cannot write to "+dir) {
		t.Errorf("it says %v", err)
	}
}
