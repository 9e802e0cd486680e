package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/store"
	promise "github.com/vow-os/vow/svc-promise/app"
)

// fleet is a svc-promise with a real Redis (appendfsync always) and a svc-master that only notes when bangs arrive, all over real sockets of this machine.
type fleet struct {
	redis  *exec.Cmd
	dir    string
	master *rpc.Server
	app    *promise.App
	client *rpc.Client
	bangs  chan time.Time
}

// master takes bangs.
type master struct {
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedLinkServiceHandler
	bangs chan time.Time
}

func (m *master) Bang(context.Context, *masterv1.BangRequest) (*masterv1.BangResponse, error) {
	m.bangs <- time.Now()
	return &masterv1.BangResponse{}, nil
}

func (*master) ReportContacts(context.Context, *masterv1.ReportContactsRequest) (*masterv1.ReportContactsResponse, error) {
	return &masterv1.ReportContactsResponse{}, nil
}

func startFleet(ctx context.Context) (f *fleet, err error) {
	f = &fleet{bangs: make(chan time.Time, 1000)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
			f = nil
		}
	}()
	if f.dir, err = os.MkdirTemp("", "bench-promise"); err != nil {
		return f, err
	}
	address, err := f.startRedis(ctx)
	if err != nil {
		return f, err
	}
	if f.master, err = rpc.NewServer(rpc.Config{Address: "127.0.0.1:0"}, rpc.Settings{}); err != nil {
		return f, err
	}
	m := &master{bangs: f.bangs}
	f.master.Handle(masterv1connect.NewBangServiceHandler(m, f.master.HandlerOptions()...))
	f.master.Handle(masterv1connect.NewLinkServiceHandler(m, f.master.HandlerOptions()...))
	if err := f.master.Start(ctx); err != nil {
		return f, err
	}
	f.app, err = promise.New(promise.Config{
		Config: rpc.Config{Address: "127.0.0.1:0"}, Store: store.Config{URL: "redis://" + address}, Master: f.master.Addr().String(),
	}, promise.Settings{StoreSettings: store.Settings{Log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return f, err
	}
	if err := f.app.Start(ctx); err != nil {
		return f, err
	}
	f.client, err = rpc.NewClient(rpc.Target{Address: f.app.Addr().String()}, rpc.ClientSettings{})
	return f, err
}

// startRedis starts a server of our own on a free port.
func (f *fleet) startRedis(ctx context.Context) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address = l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := l.Close(); err != nil {
		return "", err
	}
	f.redis = exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", f.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	if err := f.redis.Start(); err != nil {
		f.redis = nil
		return "", fmt.Errorf("cannot start redis-server: %w", err)
	}
	return address, nil
}

// open opens a stream of a computer that drains what svc-promise says; acknowledged gets the newest acknowledgements.
func (f *fleet) open(ctx context.Context, computer string) (send func(*promisev1.SenseRequest) error, acknowledged <-chan uint64, err error) {
	stream, err := promisev1connect.NewSenseServiceClient(f.client.HTTP(), f.client.BaseURL(), f.client.Options()...).Sense(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := stream.Send(&promisev1.SenseRequest{Hello: &promisev1.SenseHello{Computer: computer, BootId: "bench"}}); err != nil {
		return nil, nil, err
	}
	acks := make(chan uint64, 100_000)
	go func() {
		defer close(acks)
		for {
			r, err := stream.Receive()
			if err != nil {
				return
			}
			if r.GetAcknowledged() > 0 {
				acks <- r.GetAcknowledged()
			}
		}
	}()
	return stream.Send, acks, nil
}

func (f *fleet) stop() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if f.client != nil {
		f.client.Close()
	}
	if f.app != nil {
		errs = append(errs, f.app.Stop(ctx))
	}
	if f.master != nil {
		errs = append(errs, f.master.Stop(ctx))
	}
	if f.redis != nil {
		_ = f.redis.Process.Kill() // its data is thrown away
		_ = f.redis.Wait()
	}
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}
