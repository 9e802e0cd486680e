package byhand

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/wellknown"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sense"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-node/internal/statusfile"
	"github.com/vow-os/vow/svc-promise/verdict"
)

// ErrNoPartition marks a directory that has no promises' folders.
var ErrNoPartition = errors.New("it has neither etc/promise nor etc/plugin")

// Settings is what a person asks for.
type Settings struct {
	// Directory is the partition's, Partition its name; empty = the directory's.
	Directory, Partition string
	// Names are promises, or their files; none = all.
	Names []string
	// Anomaly asks the anomaly detectors, else the tests.
	Anomaly bool
	// Dry: nothing is written. Force: what is not due is sensed too.
	Dry, Force, Debug bool
	// Timeout replaces that of each promise; 0 = theirs.
	Timeout time.Duration
	// LogFolder is where the logs are; empty = .slapgrid/promise/log.
	LogFolder string
	// PIDFile is where the process says that it runs; empty = nowhere.
	PIDFile string
}

// Promises lists the promises of a partition's directory as its owner sees them.
func Promises(directory string) ([]sensor.Promise, error) {
	d, err := open(directory, "")
	if err != nil {
		return nil, err
	}
	return list(d)
}

// Run senses the promises and tells each as soon as it is sensed, one call at a time. It ends with the first error of tell.
func Run(ctx context.Context, s Settings, senses sensor.Sensor, tell func(*nodev1.SensePromisesResponse) error) error {
	d, err := open(s.Directory, s.Partition)
	if err != nil {
		return err
	}
	promises, err := list(d)
	if err != nil {
		return err
	}
	if promises, err = sensor.Choose(promises, s.Names, s.Timeout); err != nil {
		return err
	}
	if s.LogFolder != "" {
		if s.LogFolder, err = filepath.Abs(s.LogFolder); err != nil {
			return fmt.Errorf("cannot use log folder %q: %w", s.LogFolder, err)
		}
	}
	if !s.Dry {
		leave, err := enter(d, s.PIDFile)
		if err != nil {
			return err
		}
		defer leave()
	}
	r := &run{s: s, d: d, senses: senses, files: statusfile.NewWriter().In(s.LogFolder)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var telling sync.Mutex
	var sensing sync.WaitGroup
	budget := make(chan struct{}, runtime.NumCPU())
	for _, p := range promises {
		budget <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		sensing.Go(func() {
			defer func() { <-budget }()
			answer := r.one(ctx, p)
			telling.Lock()
			defer telling.Unlock()
			if ctx.Err() != nil {
				return // what it says is about us
			}
			if err := tell(answer); err != nil {
				cancel(err)
			}
		})
	}
	sensing.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("cannot run the promises of %s: %w", d.Path, err)
	}
	return nil
}

// open finds out whose a partition's directory is.
func open(path, name string) (partition.Directory, error) {
	cannot := func(err error) (partition.Directory, error) {
		return partition.Directory{}, fmt.Errorf("cannot run the promises of %s: %w", path, err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return cannot(err)
	}
	info, err := os.Stat(absolute)
	if err != nil {
		return cannot(err)
	}
	if !info.IsDir() {
		return cannot(errors.New("it is no directory"))
	}
	if name == "" {
		name = filepath.Base(absolute)
	}
	d := partition.Directory{Name: name, Path: absolute, User: privilege.Own("")}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 && stat.Uid != 0 {
		d.User = owner(stat.Uid, stat.Gid)
		if err := d.User.Validate(); err != nil {
			return cannot(err)
		}
	}
	return d, nil
}

// owner is the user of an id, in the group of the directory unless that is root's.
func owner(uid, gid uint32) privilege.User {
	name := strconv.FormatUint(uint64(uid), 10)
	if known, err := user.LookupId(name); err == nil {
		name = known.Username
		if own, err := strconv.ParseUint(known.Gid, 10, 32); err == nil && gid == 0 {
			gid = uint32(own)
		}
	}
	return privilege.Other(name, uid, gid)
}

func list(d partition.Directory) (promises []sensor.Promise, err error) {
	err = d.User.Do(func() (err error) {
		_, noExecutables := os.Stat(filepath.Join(d.Path, "etc", "promise"))
		_, noPlugins := os.Stat(filepath.Join(d.Path, "etc", "plugin"))
		if errors.Is(noExecutables, fs.ErrNotExist) && errors.Is(noPlugins, fs.ErrNotExist) {
			return fmt.Errorf("cannot run the promises of %s: %w", d.Path, ErrNoPartition)
		}
		promises, err = sensor.Promises(d.Path)
		return err
	})
	return promises, err
}

// run is one run of promises.
type run struct {
	s      Settings
	d      partition.Directory
	senses sensor.Sensor
	files  *statusfile.Writer
}

// one senses one promise, if it is due.
func (r *run) one(ctx context.Context, p sensor.Promise) *nodev1.SensePromisesResponse {
	remembered := r.remembered(p)
	if skipped := r.skipped(p, remembered); skipped != "" {
		return r.last(p, skipped, !remembered.off(r.s.Anomaly))
	}
	before, problem := statusfile.Executions(r.logs(), r.d.User, p.Name, verdict.MaxResultCount)
	began := time.Now()
	g := r.senses.Sense(ctx, sensor.Request{
		Partition: r.d.Name, Directory: r.d.Path, Env: r.d.Environment(), User: r.d.User, Promise: p,
		Asked: !r.s.Anomaly, Dry: r.s.Dry, Debug: r.s.Debug, LogFolder: r.s.LogFolder,
		Learned: func(t sensor.Traits) { p = p.With(t) },
	})
	took := time.Since(began)
	g = sense.Complete(g, p, began, took)
	groups := make([]*typev1.SenseGroup, 0, len(before)+1)
	for i, e := range before { // a log does not hold rules: windows are as wide as the promise wants them now
		groups = append(groups, &typev1.SenseGroup{
			Promise: p.Name, Sequence: uint64(i + 1), At: timestamppb.New(e.At), Entries: e.Entries, Kind: p.Kind, Test: g.GetTest(), Anomaly: g.GetAnomaly(),
		})
	}
	g.Sequence = uint64(len(before) + 1)
	answer := sense.Account(p, g, append(groups, g), r.s.Anomaly, r.s.Dry, nil)
	for _, w := range answer.GetWindow() {
		w.Sequence = 0 // a log file does not number
	}
	if !r.s.Dry && ctx.Err() == nil {
		problem = errors.Join(problem, r.write(p, g, answer, began))
	}
	if problem != nil {
		answer.Problem = problem.Error()
	}
	return answer
}

// skipped says why a promise is not sensed; empty = it is.
func (r *run) skipped(p sensor.Promise, remembered memory) string {
	if skipped := sense.Skipped(p, r.s.Anomaly); skipped != "" {
		return skipped
	}
	if remembered.off(r.s.Anomaly) {
		return sense.Skipped(sensor.Promise{Testless: !r.s.Anomaly, Anomalyless: r.s.Anomaly}, r.s.Anomaly)
	}
	if due := remembered.due(); !r.s.Force && time.Now().Before(due) {
		return "it is not due before " + due.Local().Format(time.TimeOnly) + " (--force)" //nolint:gosmopolitan // people read their own clock
	}
	return ""
}

// last is what the latest result says of a promise that is not sensed now: one that failed fails until it is sensed again.
func (r *run) last(p sensor.Promise, skipped string, counts bool) *nodev1.SensePromisesResponse {
	answer := &nodev1.SensePromisesResponse{Promise: p.Name, Kind: p.Kind, File: p.File, Skipped: skipped, Verdict: &typev1.Verdict{Promise: p.Name}}
	result, err := statusfile.LastResult(r.d.Path, r.d.User, p.Name)
	if err != nil || !counts {
		return answer // there is none yet, or none that can be read
	}
	answer.Failed, answer.Verdict.Message = result.Failed, result.Message
	answer.Verdict.TestFailed, answer.Verdict.Anomaly = result.Failed && !result.Anomaly, result.Failed && result.Anomaly
	answer.Verdict.Since = wellknown.Timestamp(result.At)
	return answer
}

func (r *run) logs() string {
	if r.s.LogFolder != "" {
		return r.s.LogFolder
	}
	return filepath.Join(r.d.Path, ".slapgrid", "promise", "log")
}

// write writes the files that tell of an execution.
func (r *run) write(p sensor.Promise, g *typev1.SenseGroup, answer *nodev1.SensePromisesResponse, began time.Time) error {
	err := r.remember(p, began)
	if writer, ok := r.senses.(interface{ Files(typev1.PromiseKind) bool }); ok && !writer.Files(p.Kind) {
		return err
	}
	return errors.Join(err, r.files.Write(r.d.Path, r.d.User, sense.Status(p, g, answer.GetVerdict(), r.s.Anomaly)))
}
