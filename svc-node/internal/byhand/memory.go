package byhand

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// maxMemory bounds what is read of a cache file or a PID file in bytes.
const maxMemory = 16 << 10

// memory is .slapgrid/promise/cache/<title>, as SlapOS' launcher writes it: when a promise is due again. Times are seconds
// since 1970, the periodicity is in minutes.
type memory struct {
	IsTested          *bool   `json:"is_tested"`
	IsAnomalyDetected *bool   `json:"is_anomaly_detected"`
	Periodicity       float64 `json:"periodicity"`
	Timestamp         float64 `json:"timestamp"`
	NextRunAfter      float64 `json:"next_run_after"`
	ModuleFile        string  `json:"module_file"`
	ModuleModified    float64 `json:"module_file_mtime"`
}

// off tells whether the promise said that it has no test, or no anomaly detector.
func (m memory) off(anomaly bool) bool {
	tested, detected := m.IsTested == nil || *m.IsTested, m.IsAnomalyDetected == nil || *m.IsAnomalyDetected
	if anomaly {
		return tested && !detected
	}
	return detected && !tested
}

// due is when the promise is to be sensed again; zero = now.
func (m memory) due() time.Time {
	if m.NextRunAfter <= 0 || math.IsNaN(m.NextRunAfter) || m.NextRunAfter > 1e11 {
		return time.Time{}
	}
	return seconds(m.NextRunAfter)
}

func (r *run) memoryPath(p sensor.Promise) string {
	return filepath.Join(r.d.Path, ".slapgrid", "promise", "cache", p.Name)
}

// remembered is what is remembered of a promise whose file is still the one that was sensed; the zero memory = nothing.
func (r *run) remembered(p sensor.Promise) (m memory) {
	_ = r.d.User.Do(func() error { // what cannot be read is not remembered
		content, err := read(r.memoryPath(p))
		if err != nil {
			return err
		}
		var was memory
		if err := json.Unmarshal(content, &was); err != nil {
			return err
		}
		if info, err := os.Stat(p.Path); err == nil && was.ModuleFile == p.Path && math.Abs(unix(info.ModTime())-was.ModuleModified) < 1e-3 {
			m = was
		}
		return nil
	})
	return m
}

// remember says when the promise is due again.
func (r *run) remember(p sensor.Promise, at time.Time) error {
	err := r.d.User.Do(func() error {
		info, err := os.Stat(p.Path)
		if err != nil {
			return err
		}
		tested, detected := !p.Testless, !p.Anomalyless
		m := memory{
			IsTested: &tested, IsAnomalyDetected: &detected, Periodicity: p.Period.Minutes(), Timestamp: unix(at), NextRunAfter: unix(at),
			ModuleFile: p.Path, ModuleModified: unix(info.ModTime()),
		}
		if !m.off(r.s.Anomaly) {
			m.NextRunAfter = unix(at.Add(p.Period))
		}
		content, err := json.Marshal(m)
		if err != nil {
			return err
		}
		path := r.memoryPath(p)
		if err := os.MkdirAll(filepath.Dir(path), partition.Mode); err != nil {
			return err
		}
		return atomicfile.Write(path, content, 0o640)
	})
	if err != nil {
		return fmt.Errorf("cannot remember when %s is due again: %w", p.Name, err)
	}
	return nil
}

// ErrRunning marks that another run of the same PID file is under way.
var ErrRunning = errors.New("another run is under way")

// enter writes the PID file, unless a process that lives has written it. leave removes it.
func enter(d partition.Directory, path string) (leave func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	err = d.User.Do(func() error {
		content, err := read(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil && pid > 0 && pid != os.Getpid() {
			if err := syscall.Kill(pid, 0); err == nil || errors.Is(err, syscall.EPERM) {
				return fmt.Errorf("%w: %s names process %d, which lives", ErrRunning, path, pid)
			}
		}
		return atomicfile.Write(path, []byte(strconv.Itoa(os.Getpid())), 0o640)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use PID file %s: %w", path, err)
	}
	return func() {
		_ = d.User.Do(func() error { return os.Remove(path) }) // one that stays names a process that is gone
	}, nil
}

// read reads a small regular file; a FIFO in its place does not hold us up.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // as the partition's user
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxMemory {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, maxMemory)
	}
	return io.ReadAll(io.LimitReader(f, maxMemory))
}

// unix is a time in seconds, to the microsecond: what a double of this size still holds.
func unix(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func seconds(value float64) time.Time { return time.UnixMicro(int64(value * 1e6)) }
