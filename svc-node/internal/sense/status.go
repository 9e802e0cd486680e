package sense

import (
	"context"
	"path/filepath"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-node/internal/statusfile"
)

// filed is an execution whose files are to be written.
type filed struct {
	promise sensor.Promise
	group   *typev1.SenseGroup
	verdict *typev1.Verdict
	// anomaly: the anomaly detector was asked, else the test.
	anomaly bool
}

// file writes the files that SlapOS's tools read, of promises whose sensors do not write them. A partition whose files
// cannot be written is told once, until they can be again: sensing goes on.
func (m *Manager) file(ctx context.Context, directory partition.Directory, executions []filed) {
	writer, writes := m.s.Sensor.(interface{ Files(typev1.PromiseKind) bool })
	if !writes {
		return
	}
	var statuses []statusfile.Status
	for _, e := range executions {
		if writer.Files(e.promise.Kind) {
			statuses = append(statuses, Status(e.promise, e.group, e.verdict, e.anomaly))
		}
	}
	err := m.files.Write(directory.Path, directory.User, statuses...)
	m.mu.Lock()
	told := m.unfiled[directory.Name]
	if err != nil {
		m.unfiled[directory.Name] = true
	} else {
		delete(m.unfiled, directory.Name)
	}
	m.mu.Unlock()
	if err != nil && !told {
		m.s.Telemetry.Log.WarnContext(ctx, "status files of promises are not written", "partition", directory.Name, "error", err)
	}
}

// fileAnomaly writes the files of a promise that its own periodicity asked for: what its anomaly detector says.
func (m *Manager) fileAnomaly(ctx context.Context, directory partition.Directory, a *appointment, g *typev1.SenseGroup) {
	if writer, writes := m.s.Sensor.(interface{ Files(typev1.PromiseKind) bool }); !writes || !writer.Files(a.promise.Kind) {
		return
	}
	v, err := m.verdict(a.allocationID, a.promise.Name)
	if err != nil {
		return // record told of it
	}
	m.file(ctx, directory, []filed{{a.promise, g, v, true}})
}

// Status is an execution as the files that SlapOS's tools read tell it.
func Status(p sensor.Promise, g *typev1.SenseGroup, v *typev1.Verdict, anomaly bool) statusfile.Status {
	s := statusfile.Status{
		Title: p.Name, Name: filepath.Base(p.File), Path: p.Path,
		At: g.GetAt().AsTime(), Number: g.GetSequence(), Entries: g.GetEntries(),
		Took: time.Duration(g.GetDurationSeconds() * float64(time.Second)), Anomaly: anomaly, Message: v.GetMessage(),
	}
	if g.GetError() != "" {
		s.Entries = append(s.Entries[:len(s.Entries):len(s.Entries)], &typev1.LogEntry{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: g.GetError()})
	}
	s.Failed = v.GetTestFailed()
	if anomaly {
		s.Failed = v.GetAnomaly()
	}
	if s.Message == "" {
		s.Message = message(g)
	}
	return s
}
