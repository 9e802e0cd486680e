package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
)

// service is what every service of the suite exports.
type service = app.Service

// place is where a process runs.
type place struct {
	server    rpc.Settings
	dial      rpc.Dial
	telemetry *telemetry.Telemetry
}

// process is a service on a host. It may be started again after it was stopped or crashed.
type process struct {
	fleet   *Fleet
	host    string
	service string
	port    int // 0 = it does not listen
	make    func(place) (service, error)

	running service
	scene   *scene
}

func (p *process) start(ctx context.Context) error {
	if p.running != nil {
		return fmt.Errorf("cannot start %s: it runs", p.host)
	}
	s, err := p.fleet.Recorder.open(ctx, p.service, p.host)
	if err != nil {
		return err
	}
	at := place{dial: p.fleet.Network.Dialer(p.host), telemetry: s.telemetry, server: rpc.Settings{PingIdle: p.fleet.settings.PingIdle}}
	if p.port != 0 {
		if at.server.Listener, err = p.fleet.Network.Listen(address(p.host, p.port)); err != nil {
			return errors.Join(err, s.close(ctx))
		}
	}
	one, err := p.make(at)
	if err != nil {
		return errors.Join(err, s.close(ctx))
	}
	if err := one.Start(ctx); err != nil {
		return errors.Join(err, one.Stop(ctx), s.close(ctx))
	}
	p.running, p.scene = one, s
	return nil
}

func (p *process) stop(ctx context.Context) error {
	if p.running == nil {
		return nil
	}
	err := p.running.Stop(ctx)
	p.running = nil
	return errors.Join(err, p.scene.close(ctx))
}

// crash ends the process as kill -9 does, as far as others can tell: nothing more leaves its host, its connections are
// reset, what it had not exported is lost. What it is just writing to the store may still arrive, as it may in reality.
func (p *process) crash() error {
	if p.running == nil {
		return fmt.Errorf("cannot kill %s: it does not run", p.host)
	}
	p.scene.kill()
	p.fleet.Network.Cut(p.host, memnet.Any, memnet.Drop)
	p.fleet.Network.Reset(p.host, memnet.Any)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.running.Stop(over) // it complains that it has no time
	p.running = nil
	p.fleet.Network.Heal(p.host, memnet.Any)
	return p.scene.close(context.Background())
}
