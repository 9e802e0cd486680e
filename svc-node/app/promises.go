package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/svc-node/internal/byhand"
	"github.com/vow-os/vow/svc-node/internal/pythonhost"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
)

// PromiseRun is what a person asks for who runs promises of a directory by hand.
type PromiseRun = byhand.Settings

// ErrRunning marks that another run with the same PID file is under way, ErrNoPartition that a directory has no promises'
// folders.
var (
	ErrRunning     = byhand.ErrRunning
	ErrNoPartition = byhand.ErrNoPartition
)

// Promises lists the promises of a partition's directory, by name.
func Promises(directory string) ([]Promise, error) { return sensor.Promises(directory) }

// PromisesOf lists the promises of a partition's directory as its owner sees them: root becomes the owner meanwhile.
func PromisesOf(directory string) ([]Promise, error) { return byhand.Promises(directory) }

// RunPromises senses the promises of a partition's directory without a node, and tells each as soon as it is sensed. config is
// what Python promises find with getConfig beside their own. A promise that fails is no error.
func RunPromises(ctx context.Context, run PromiseRun, config map[string]any, tell func(*nodev1.SensePromisesResponse) error) (err error) {
	host, err := os.MkdirTemp("", "vow-promise-") // the Python host's program: ours alone
	if err != nil {
		return fmt.Errorf("cannot run promises: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(host)) }()
	senses := NewSensors(host, config)
	defer func() { err = errors.Join(err, senses.Stop(ctx)) }()
	return byhand.Run(ctx, run, senses, tell)
}

// Builtins are the names of the built-in sensors.
func Builtins() (names []string) {
	for _, s := range builtin.Sensors() {
		names = append(names, s.Name)
	}
	return names
}

// BuiltinExample is a config, as JSON, that a declaration of a built-in sensor may begin with.
func BuiltinExample(sensor string) (string, error) {
	s, ok := builtin.Find(sensor)
	if !ok {
		return "", fmt.Errorf("no built-in sensor is called %q (%s are)", sensor, strings.Join(Builtins(), ", "))
	}
	return s.Example, nil
}

// PythonModules writes the modules that vow offers to Python promises below a directory, unless they are there, and returns
// their folder, for PYTHONPATH.
func PythonModules(directory string) (string, error) { return pythonhost.Unpack(directory) }
