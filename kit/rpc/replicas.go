package rpc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strings"
	"sync"
)

// maxReplicas is how many addresses a client takes; more replicas want a balancer.
const maxReplicas = 16

// replicas are the addresses of one service. A connection is opened to the one after that of the last connection, and to the next when that one cannot be reached:
// a replica whose connection broke is the last to be asked again, although it may take connections still, as one that stands still does.
type replicas struct {
	addresses []string

	mu   sync.Mutex // never held while anything waits
	next int
}

// parseReplicas is nil for a target of one address.
func parseReplicas(target string) ([]string, error) {
	addresses := strings.Split(target, ",")
	if len(addresses) == 1 {
		return nil, nil //nolint:nilnil // see above
	}
	if len(addresses) > maxReplicas {
		return nil, fmt.Errorf("cannot use address %q: %d replicas, want at most %d", target, len(addresses), maxReplicas)
	}
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil || strings.Contains(address, "/") {
			return nil, fmt.Errorf("cannot use address %q: want host:port of each replica", target)
		}
	}
	return addresses, nil
}

// startAt spreads callers over the replicas.
func startAt(addresses []string, caller string) *replicas {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(caller))
	return &replicas{addresses: addresses, next: int(hash.Sum32() % uint32(len(addresses)))} //nolint:gosec // at most maxReplicas
}

// dial asks each replica at most once.
func (r *replicas) dial(dial Dial) Dial {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var failed []error
		for range r.addresses {
			r.mu.Lock()
			address := r.addresses[r.next]
			r.next = (r.next + 1) % len(r.addresses)
			r.mu.Unlock()
			conn, err := dial(ctx, network, address)
			if err == nil {
				return conn, nil
			}
			failed = append(failed, err)
			if ctx.Err() != nil {
				break
			}
		}
		return nil, errors.Join(failed...)
	}
}
