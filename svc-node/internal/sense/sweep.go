package sense

import (
	"context"
	"time"
)

// sweepPeriod is how often processes are looked for that sensors left behind and that could not be found at once: it reads
// the environment of every process of the machine, some milliseconds.
const sweepPeriod = time.Minute

// sweeper is a Sensor that can find what its executions left behind.
type sweeper interface {
	Sweep(directories []string) (ended []string)
}

// sweep ends what sensors left behind, those of an agent before this one too, until ctx ends.
func (m *Manager) sweep(ctx context.Context, s sweeper) {
	ticker := time.NewTicker(sweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		var directories []string
		m.mu.Lock()
		for _, w := range m.watched {
			directories = append(directories, w.directory.Path)
		}
		m.mu.Unlock()
		if ended := s.Sweep(directories); len(ended) > 0 {
			m.s.Telemetry.Log.WarnContext(ctx, "processes that promises left behind are ended", "processes", ended)
		}
	}
}
