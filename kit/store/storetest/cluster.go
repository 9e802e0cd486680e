package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
)

// clusterNodes is the least number of masters of a Redis Cluster.
const clusterNodes = 3

// slots is how many a Redis Cluster has.
const slots = 16384

// ClusterServer is a Redis Cluster of three masters without replicas.
type ClusterServer struct {
	Nodes []*Server
}

// StartCluster starts three servers and joins them.
func StartCluster(t testing.TB) *ClusterServer {
	t.Helper()
	c := &ClusterServer{}
	for range clusterNodes {
		c.Nodes = append(c.Nodes, startServer(t, "--cluster-enabled", "yes", "--cluster-announce-ip", Loopback(), "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "yes"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if err := c.join(ctx); err != nil {
		t.Fatalf("cannot form a Redis Cluster: %v", err)
	}
	return c
}

func (c *ClusterServer) join(ctx context.Context) error {
	clients := make([]*redis.Client, len(c.Nodes))
	for i, node := range c.Nodes {
		clients[i] = node.Client()
		defer clients[i].Close() //nolint:errcheck // a test
		first, last := i*slots/clusterNodes, (i+1)*slots/clusterNodes-1
		if err := clients[i].ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return err
		}
		// Different epochs from the start: nodes that meet with the same one take seconds to settle it.
		if err := clients[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
	}
	for _, node := range c.Nodes[1:] {
		if err := clients[0].ClusterMeet(ctx, Loopback(), fmt.Sprint(node.port)).Err(); err != nil {
			return err
		}
	}
	for _, client := range clients {
		if err := waitForCluster(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

func waitForCluster(ctx context.Context, client *redis.Client) error {
	for {
		info, err := client.ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", clusterNodes)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), info)
		case <-time.After(20 * time.Millisecond): // the cluster gives no other signal
		}
	}
}

// URL is what store.Config takes.
func (c *ClusterServer) URL() string {
	addrs := make([]string, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr())
	}
	return "redis-cluster://" + strings.Join(addrs, ",")
}

// Open opens a store on this Cluster and stops it when the test ends.
func (c *ClusterServer) Open(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{URL: c.URL()}, store.Settings{})
}
