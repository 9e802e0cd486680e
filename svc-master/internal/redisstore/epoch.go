package redisstore

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/store"
)

// A shard's epoch moves when its server is another life than the one that was written to last: after a fail-over, a restored
// backup or an unclean end of the embedded store the last seconds may be gone, and numbers would be given twice. A new
// epoch wins over any number (docs/rules.md, what must never happen), so that everyone reads state anew.
//
// A plain restart of a durable server moves the epoch too: it cannot be told apart, and a full resync costs seconds.

//
// It moves before anything else goes over the first connection to such a server: a commit that was made there in the old epoch would give out numbers that the lost ones had.

// epochs is what is known of each shard's epoch, and whether it is in doubt.
type epochs struct {
	now    [Shards]atomic.Uint64
	server atomic.Pointer[string] // whose connections need no look: the last one that was checked; of a Redis Cluster none
	doubt  chan struct{}          // holds one when a connection was opened: its server may be another one
}

// checkEpochs is how often the server is asked who it is although nothing gave a reason.
const checkEpochs = 5 * time.Second

// Epoch is the epoch of a tree's shard, as last seen.
func (s *Store) Epoch(treeID string) uint64 { return s.epochs.now[ShardOf(treeID)].Load() }

// dialHook raises a doubt whenever a connection is opened.
type dialHook struct{ doubt chan<- struct{} }

func (h dialHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		select {
		case h.doubt <- struct{}{}:
		default:
		}
		return conn, err
	}
}

func (h dialHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h dialHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *Store) watchDials() {
	hook := dialHook{s.epochs.doubt}
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(hook) })
		return
	}
	s.client.AddHook(hook)
}

// keepEpochs checks the epochs whenever they are in doubt, until ctx ends.
func (s *Store) keepEpochs(ctx context.Context) error {
	ticker := time.NewTicker(checkEpochs)
	defer ticker.Stop()
	life := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.epochs.doubt:
		case <-ticker.C:
			// Without a new connection one question is enough; 64 scripts every few seconds are not free.
			if now, err := s.life(ctx); err == nil && now == life {
				continue
			}
		}
		if err := s.checkEpochs(ctx); err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot check the epochs", "error", err)
			}
			life = ""
			continue
		}
		life, _ = s.life(ctx)
	}
}

// life is the identity of the server of the first shard: on a Redis Cluster other masters are checked when they are dialled.
func (s *Store) life(ctx context.Context) (string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.redis.RunID(ctx, keysOfShard(0).meta)
}

// checkEpochs moves the epochs of the shards whose server changed and takes over what others moved.
func (s *Store) checkEpochs(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, cluster := s.client.(*redis.ClusterClient) // each master has its own identity; a single server is asked once
	calls := make([]store.Call, Shards)
	for shard := range Shards {
		meta := keysOfShard(shard).meta
		server, err := s.redis.RunID(ctx, meta)
		if err != nil {
			return &UnavailableError{"cannot tell which server answers", err}
		}
		calls[shard] = store.Call{Script: s.scripts.epoch, Keys: []string{meta}, Args: []any{server}}
		if !cluster {
			for i := range calls {
				calls[i] = store.Call{Script: s.scripts.epoch, Keys: []string{keysOfShard(i).meta}, Args: []any{server}}
			}
			break
		}
	}
	return s.epochsAnswered(ctx, s.redis.RunAll(ctx, calls))
}

// admit moves the epochs over a connection to a server that is not the one of before.
func (s *Store) admit(ctx context.Context, conn *redis.Conn) error {
	server, err := s.redis.RunIDOver(ctx, conn)
	if err != nil {
		return err
	}
	if last := s.epochs.server.Load(); last != nil && *last == server {
		return nil
	}
	calls := make([]store.Call, Shards)
	for shard := range calls {
		calls[shard] = store.Call{Keys: []string{keysOfShard(shard).meta}, Args: []any{server}}
	}
	if err := s.epochsAnswered(ctx, s.redis.RunOver(ctx, conn, s.scripts.epoch, calls)); err != nil {
		return err
	}
	if _, cluster := s.client.(*redis.ClusterClient); !cluster {
		s.epochs.server.Store(&server)
	}
	return nil
}

// epochsAnswered takes over what the script said of each shard.
func (s *Store) epochsAnswered(ctx context.Context, answers []*redis.Cmd) error {
	moved := 0
	for shard, answer := range answers {
		values, err := answer.Slice()
		if redis.HasErrorPrefix(err, "MOVED") {
			continue // another server's, which is asked over its own connections
		}
		if err != nil {
			return &UnavailableError{"cannot check the epochs", err}
		}
		if len(values) != 2 {
			return fmt.Errorf("cannot read the epoch of shard %d: %v", shard, values)
		}
		var epoch uint64
		if _, err := fmt.Sscan(fmt.Sprint(values[0]), &epoch); err != nil {
			return fmt.Errorf("cannot read the epoch of shard %d: %w", shard, err)
		}
		if values[1] == int64(1) && epoch > 1 {
			moved++
		}
		s.epochSeen(shard, epoch)
	}
	if moved > 0 {
		s.log.WarnContext(ctx, "the store is another one than before, or restarted: epochs moved, everyone reads state anew", "shards", moved)
	}
	return nil
}

// epochSeen takes over a shard's epoch; copies of its trees are forgotten when it is new, since versions may be given twice.
func (s *Store) epochSeen(shard int, epoch uint64) {
	before := s.epochs.now[shard].Swap(epoch)
	if before == epoch {
		return
	}
	s.cache.epochMoved(shard, epoch)
	if before != 0 {
		s.hub.epochMoved(shard, epoch)
	}
}
