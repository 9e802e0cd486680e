package app

import (
	"context"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/pythonhost"
	"github.com/vow-os/vow/svc-node/internal/sensor"
)

// Sensors senses the promises of a real machine, of all kinds. Build it with NewSensors.
type Sensors struct {
	sensor.Kinds
	python *pythonhost.Pool
}

// NewSensors makes the sensors. directory is where the Python hosts' program is kept: the agent's own. config is what every
// Python promise finds with getConfig beside its own: computer-id, master-url.
func NewSensors(directory string, config map[string]any) *Sensors {
	s := &Sensors{Kinds: sensor.NewKinds(), python: pythonhost.New(pythonhost.Settings{Directory: directory, Config: config})}
	s.Kinds[typev1.PromiseKind_PROMISE_KIND_PYTHON] = s.python
	return s
}

// Stop ends the Python hosts. Nothing may be sensed after it.
func (s *Sensors) Stop(context.Context) error {
	s.python.Close()
	return nil
}
