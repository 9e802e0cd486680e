package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	"github.com/vow-os/vow/svc-node/internal/recipe"
)

// ports are the TCP ports that parts of this computer's partitions were given. Listening for a moment finds what is taken by now; between that moment and the one
// in which the part's service listens, or while it is stopped, only this says that a port is somebody's. It is filled by the runs, each of which says what its
// parts had: after a start of the agent what two parts had both stays with the one that runs first.
type ports struct {
	mu    sync.Mutex
	given map[string]holding // by partition
}

// holding is what an allocation has, by part. Another tenant of the partition begins with nothing.
type holding struct {
	allocation string
	ports      map[string]endpoint
}

type endpoint struct {
	address string
	port    int
}

// collides with another: both cannot be listened on.
func (e endpoint) collides(with endpoint) bool {
	return e.port == with.port && (e.address == with.address || everywhere(e.address) || everywhere(with.address))
}

func everywhere(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsUnspecified()
}

// take gives a part of a partition a port that no other has; free tells whether nothing listens there. No two calls find the same one.
func (p *ports) take(partition, allocation string, want recipe.Port, free func(endpoint) (bool, error)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	give := func(port int) (int, error) {
		if want.Peek {
			return port, nil
		}
		if p.given == nil {
			p.given = map[string]holding{}
		}
		if p.given[partition].allocation != allocation || p.given[partition].ports == nil {
			p.given[partition] = holding{allocation, map[string]endpoint{}}
		}
		p.given[partition].ports[want.Part] = endpoint{want.Address, port}
		return port, nil
	}
	if want.Kept != 0 && !p.taken(partition, allocation, want.Part, endpoint{want.Address, want.Kept}) {
		return give(want.Kept) // its own service may listen there
	}
	for port := want.Low; port <= want.High; port++ {
		at := endpoint{want.Address, port}
		if p.taken(partition, allocation, want.Part, at) {
			continue
		}
		switch ok, err := free(at); {
		case err != nil:
			return 0, err
		case ok:
			return give(port)
		}
	}
	return 0, fmt.Errorf("cannot find a free port on %s: %d to %d are all taken", want.Address, want.Low, want.High)
}

// taken says whether a port is that of another part.
func (p *ports) taken(partition, allocation, part string, at endpoint) bool {
	for of, h := range p.given {
		if of == partition && h.allocation != allocation {
			continue // of the tenant before
		}
		for name, its := range h.ports {
			if its.collides(at) && (of != partition || name != part) {
				return true
			}
		}
	}
	return false
}

// drop forgets what a partition had.
func (p *ports) drop(partition string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.given, partition)
}

// FreePort gives a part a port of its own.
func (o *world) FreePort(ctx context.Context, want recipe.Port) (int, error) {
	var lc net.ListenConfig
	return o.ports.take(o.w.desired.GetPartition(), o.w.desired.GetAllocationId(), want, func(at endpoint) (bool, error) {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(at.address, strconv.Itoa(at.port)))
		switch {
		case err == nil:
			return true, l.Close()
		case errors.Is(err, syscall.EADDRNOTAVAIL) || ctx.Err() != nil:
			return false, fmt.Errorf("cannot listen on %s: %w", at.address, err)
		}
		return false, nil
	})
}
