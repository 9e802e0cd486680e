package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	"github.com/vow-os/vow/svc-node/internal/byhand"
	"github.com/vow-os/vow/svc-node/internal/sensor"
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
