package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
)

// masterName is what the Sentinels call their master.
const masterName = "vow"

// Times of Sentinels in milliseconds: after how long a silence a server is down; an attempt to fail over that came to nothing is repeated after retryAfter.
const (
	downAfter  = 500
	neverDown  = 600_000 // until a test kills the primary: on a busy machine it may be silent for a second
	retryAfter = 4000
)

// SentinelServer is two servers, one of which is the replica of the other, and the Sentinels that watch them.
type SentinelServer struct {
	t         testing.TB
	Servers   [2]*Server // the first one is the primary in the beginning
	Sentinels []*Server
}

// StartSentinel starts a primary, its replica and so many Sentinels, most of which must agree. It returns when the replica has all that the primary has and the Sentinels know of it and of each other.
func StartSentinel(t testing.TB, sentinels int) *SentinelServer {
	t.Helper()
	s := &SentinelServer{t: t}
	s.Servers[0] = startServer(t, replicating...)
	s.Servers[1] = startServer(t, append(slices.Clone(replicating), "--replicaof", s.Servers[0].place())...)
	s.awaitReplica(s.Servers[1])
	for range sentinels {
		// A Sentinel writes its state into its configuration, and takes it from the first argument only.
		config := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("sentinel announce-ip %s\nsentinel monitor %s %s %d %d\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s %d\n",
			Loopback(), masterName, Loopback(), s.Servers[0].port, sentinels/2+1, masterName, neverDown, masterName, retryAfter)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Sentinels = append(s.Sentinels, startConfigured(t, config, "--sentinel"))
	}
	s.awaitSentinels()
	return s
}

// replicating is said to both servers. A replica need not wait five seconds for others that want a copy too; Sentinels find it where it says.
var replicating = []string{"--repl-diskless-sync-delay", "0", "--replica-announce-ip", Loopback()}

// place is how a server is named to those that replicate it.
func (s *Server) place() string { return fmt.Sprintf("%s %d", Loopback(), s.port) }

func (s *SentinelServer) awaitReplica(replica *Server) {
	s.t.Helper()
	s.await("the replica has what the primary has", replica, func(ctx context.Context, c *redis.Client) (bool, string) {
		info := c.Info(ctx, "replication").Val()
		return strings.Contains(info, "master_link_status:up"), info
	})
}

// awaitSentinels returns when each Sentinel knows the others, and that a replica is well.
func (s *SentinelServer) awaitSentinels() {
	s.t.Helper()
	want := fmt.Sprintf("slaves=1,sentinels=%d", len(s.Sentinels))
	for _, sentinel := range s.Sentinels {
		s.await("the Sentinels know everybody", sentinel, func(ctx context.Context, c *redis.Client) (bool, string) {
			info := c.Info(ctx, "sentinel").Val()
			replicas := fmt.Sprint(c.Do(ctx, "SENTINEL", "REPLICAS", masterName).Val())
			return strings.Contains(info, "status=ok") && strings.Contains(info, want) && strings.Contains(replicas, " flags slave "), info + replicas
		})
	}
}

// await asks a server until the answer is yes.
func (s *SentinelServer) await(what string, of *Server, ask func(ctx context.Context, c *redis.Client) (bool, string)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	client := of.Client()
	defer client.Close() //nolint:errcheck // a test
	for {
		yes, said := ask(ctx, client)
		if yes {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited %s in vain: %s; it said %s; it wrote %s", openTimeout, what, said, of.output)
		case <-time.After(10 * time.Millisecond): // there is no other signal
		}
	}
}

// Primary is the server that the Sentinels name now, and the other one.
func (s *SentinelServer) Primary() (primary, other *Server) {
	s.t.Helper()
	client := s.Sentinels[0].Client()
	defer client.Close() //nolint:errcheck // a test
	address, err := client.Do(context.Background(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName).StringSlice()
	if err != nil {
		s.t.Fatal(err)
	}
	if address[1] == fmt.Sprint(s.Servers[1].port) {
		return s.Servers[1], s.Servers[0]
	}
	return s.Servers[0], s.Servers[1]
}

// FailOver kills the primary with SIGKILL and returns when the Sentinels have found it dead, agreed, and made the other server the primary.
func (s *SentinelServer) FailOver() {
	s.t.Helper()
	dead, heir := s.Primary()
	dead.Kill9()
	s.set("down-after-milliseconds", downAfter)
	defer s.set("down-after-milliseconds", neverDown)
	s.await("the replica is the primary", heir, func(ctx context.Context, c *redis.Client) (bool, string) {
		info := c.Info(ctx, "replication").Val()
		return strings.Contains(info, "role:master"), info
	})
	for _, sentinel := range s.Sentinels {
		s.await("the Sentinels name the new primary", sentinel, func(ctx context.Context, c *redis.Client) (bool, string) {
			address, _ := c.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName).StringSlice()
			return len(address) == 2 && address[1] == fmt.Sprint(heir.port), strings.Join(address, ":")
		})
	}
}

// Rejoin starts the dead server again, as a replica, and returns when it has what the primary has. Sentinels would make one of it that starts as a primary, but only after eight seconds.
func (s *SentinelServer) Rejoin() {
	s.t.Helper()
	primary, dead := s.Primary()
	dead.args = append(slices.Clone(durable), append(replicating, "--replicaof", primary.place())...)
	dead.Restart()
	s.awaitReplica(dead)
	s.awaitSentinels()
}

// set changes what the Sentinels do.
func (s *SentinelServer) set(option string, value int) {
	s.t.Helper()
	for _, sentinel := range s.Sentinels {
		client := sentinel.Client()
		if err := client.Do(context.Background(), "SENTINEL", "SET", masterName, option, value).Err(); err != nil {
			s.t.Errorf("cannot set %s of a Sentinel: %v", option, err)
		}
		_ = client.Close()
	}
}

// URL is what store.Config takes.
func (s *SentinelServer) URL() string {
	addresses := make([]string, 0, len(s.Sentinels))
	for _, sentinel := range s.Sentinels {
		addresses = append(addresses, sentinel.Addr())
	}
	return "redis-sentinel://" + strings.Join(addresses, ",") + "/" + masterName
}

// Open opens a store behind these Sentinels and stops it when the test ends.
func (s *SentinelServer) Open(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{URL: s.URL()}, store.Settings{})
}
