package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vow-os/vow/svc-node/app"
	instance "github.com/vow-os/vow/svc-node/profile"
)

// ours is a partition that the agent's installer deploys.
type ours struct {
	dir, release string
	installer    app.Installer
}

func newOurs(dir string) (*ours, error) {
	o := &ours{dir: filepath.Join(dir, "slappart0"), release: filepath.Join(dir, "release"), installer: app.NewInstaller("")}
	for _, d := range []string{o.dir, o.release} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, fmt.Errorf("cannot make a partition: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(o.release, "instance.cfg"), []byte(profile()), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the profile: %w", err)
	}
	return o, nil
}

// install deploys; it fails when something changed that should not have, or the other way round.
func (o *ours) install(ctx context.Context, changes bool) error {
	changed, err := o.installer.Install(ctx, app.Installation{
		Environment: instance.Environment{BuildoutDirectory: o.dir, SoftwareType: "default", ComputerID: "laptop", PartitionID: "slappart0", RequestedState: "started"},
		Release:     o.release,
		World:       machine{o.dir},
		Part:        func(ctx context.Context, _ string) (context.Context, func(error)) { return ctx, func(error) {} },
	})
	if err == nil && changed != changes {
		err = fmt.Errorf("cannot measure: the run says that it changed something: %t", changed)
	}
	return err
}

// forget takes the parsed profile away.
func (o *ours) forget() { o.installer = app.NewInstaller("") }

// machine runs commands, and has no svc-master: this profile needs none.
type machine struct{ dir string }

var errNoMaster = errors.New("cannot ask svc-master: there is none here")

// Request implements app.World.
func (machine) Request(context.Context, app.Request) (app.Instance, error) {
	return app.Instance{}, errNoMaster
}

// Published implements app.World.
func (machine) Published(context.Context, string) (map[string]string, error) { return nil, errNoMaster }

// Publish implements app.World.
func (machine) Publish(context.Context, string, map[string]string) error { return errNoMaster }

// FreePort implements app.World.
func (machine) FreePort(context.Context, app.Port) (int, error) { return 0, errNoMaster }

// Random implements app.World.
func (machine) Random() io.Reader { return rand.Reader }

// Exec implements app.World.
func (m machine) Exec(ctx context.Context, command string) error {
	return m.Execute(ctx, "/bin/sh", "-c", command)
}

// Python implements app.World: the profile has none.
func (machine) Python(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("no Python here")
}

// Execute implements app.World.
func (m machine) Execute(ctx context.Context, program string, arguments ...string) error {
	c := exec.CommandContext(ctx, program, arguments...)
	c.Dir = m.dir
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
