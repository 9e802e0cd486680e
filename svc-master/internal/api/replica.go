package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/svc-master/internal/link"
	"github.com/vow-os/vow/svc-master/internal/redisstore"
)

// replicas are the other ones of svc-master, which may hold a link that is asked for here.
type replicas struct {
	id        string
	announce  func(ctx context.Context, id, address string) (map[string]string, error)
	dial      rpc.Dial
	telemetry *telemetry.Telemetry
	log       *slog.Logger

	mu      sync.Mutex // never held while anything waits
	address string     // our own; empty = not announced
	known   map[string]*replica
}

// replica is another one.
type replica struct {
	address string
	client  *rpc.Client
	links   masterv1connect.LinkServiceClient
}

// found is what became of the question who holds a link.
type found struct {
	here   *link.Link
	there  *replica
	silent int // replicas that did not answer
}

// find asks the other replicas whether they hold a link; the youngest is the one, own among them.
func (r *replicas) find(ctx context.Context, computer string, own *link.Link) found {
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	f := found{here: own}
	others := r.others(ctx)
	type answer struct {
		from *replica
		open *masterv1.FindLinkResponse
		err  error
	}
	answers := make(chan answer, len(others))
	for _, other := range others {
		go func() {
			open, err := other.links.FindLink(ctx, &masterv1.FindLinkRequest{Computer: computer})
			answers <- answer{other, open, err}
		}()
	}
	youngest := time.Duration(-1)
	if own != nil {
		youngest = own.Age()
	}
	for range others {
		switch a := <-answers; {
		case a.err != nil:
			r.log.DebugContext(ctx, "a replica does not say whether it holds a link", "address", a.from.address, "error", rpc.Message(a.err))
			f.silent++
		case a.open.GetOpen() != nil && (youngest < 0 || a.open.GetOpen().AsDuration() < youngest):
			youngest = a.open.GetOpen().AsDuration()
			f.here, f.there = nil, a.from
		}
	}
	return f
}

// others are the other replicas that are there now. When the store does not answer, those that were.
func (r *replicas) others(ctx context.Context) []*replica {
	r.mu.Lock()
	address := r.address
	r.mu.Unlock()
	if address == "" {
		return nil // not serving yet, or not any more
	}
	there, err := r.announce(ctx, r.id, address)
	if err != nil {
		r.log.WarnContext(ctx, "cannot learn which replicas there are", "error", err)
	} else {
		r.learn(there)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*replica
	for _, other := range r.known {
		all = append(all, other)
	}
	return all
}

// learn keeps a client for each replica that is there, and closes the others'.
func (r *replicas) learn(there map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, other := range r.known {
		if there[id] != other.address {
			other.client.Close()
			delete(r.known, id)
		}
	}
	for id, address := range there {
		if r.known[id] != nil || id == r.id {
			continue
		}
		client, err := rpc.NewClient(rpc.Target{Address: address}, rpc.ClientSettings{Dial: r.dial, Telemetry: r.telemetry})
		if err != nil {
			r.log.Warn("cannot use the address of a replica", "address", address, "error", err)
			continue
		}
		r.known[id] = &replica{address, client, masterv1connect.NewLinkServiceClient(client.HTTP(), client.BaseURL(), client.Options()...)}
	}
}

// KeepAnnounced says that this replica is reached under an address, until ctx ends; then it leaves.
func (a *API) KeepAnnounced(ctx context.Context, address string) error {
	r := a.replicas
	r.mu.Lock()
	r.address = address
	r.mu.Unlock()
	ticker := time.NewTicker(redisstore.AnnounceEvery)
	defer ticker.Stop()
	for {
		r.others(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			r.mu.Lock()
			r.address = ""
			r.mu.Unlock()
			r.learn(nil)
			_, err := r.announce(context.WithoutCancel(ctx), r.id, "")
			if err != nil {
				r.log.DebugContext(ctx, "cannot take this replica off the list; it is forgotten by itself", "error", err)
			}
			return nil
		}
	}
}
