package load

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/wait"
)

// patience bounds every wait for something to be up.
const patience = time.Minute

// Redis is a server of our own.
type Redis struct {
	Address string
	dir     string
	command *exec.Cmd
	client  *redis.Client
}

// StartRedis starts one with a mode of fsync: always, everysec.
func StartRedis(ctx context.Context, fsync string) (*Redis, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	dir, err := os.MkdirTemp("", "bench-redis-")
	if err != nil {
		return nil, err
	}
	r := &Redis{Address: address, dir: dir, client: redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true})}
	r.command = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", fsync, "--maxclients", "10000", "--latency-monitor-threshold", "1")
	if err := r.command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start redis-server: %w", err)
	}
	err = Until(ctx, "redis-server answers", func() bool { return r.client.Ping(ctx).Err() == nil })
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// URL is what the services take.
func (r *Redis) URL() string { return "redis://" + r.Address }

// Fsync is the mode that the server says it has.
func (r *Redis) Fsync(ctx context.Context) string {
	return r.client.ConfigGet(ctx, "appendfsync").Val()["appendfsync"]
}

// SlowestSync is how long the longest fsync of the append-only file took since the server started, which every write of that time waited for. 0 = none took a
// millisecond, or the mode is not always.
func (r *Redis) SlowestSync(ctx context.Context) (time.Duration, error) {
	events, err := r.client.Do(ctx, "LATENCY", "LATEST").Slice()
	if err != nil {
		return 0, err
	}
	for _, event := range events { // name, time of the latest, its ms, the longest in ms
		if fields, ok := event.([]any); ok && len(fields) >= 4 && fields[0] == "aof-fsync-always" {
			ms, _ := fields[3].(int64)
			return time.Duration(ms) * time.Millisecond, nil
		}
	}
	return 0, nil
}

// Written sets keys, one each at its own time, and returns how late each is acknowledged: what it takes at least to store something before it is handed on.
func (r *Redis) Written(ctx context.Context, writes int, every time.Duration) ([]time.Duration, error) {
	late := make([]time.Duration, writes)
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	first := time.Now().Add(every)
	for n := range writes {
		due := first.Add(time.Duration(n) * every)
		if err := wait.For(ctx, time.Until(due)); err != nil {
			return nil, err
		}
		all.Go(func() {
			if err := r.client.Set(ctx, fmt.Sprint("late-", n), n, time.Minute).Err(); err != nil {
				failed.Store(&err)
			}
			late[n] = time.Since(due)
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return nil, fmt.Errorf("cannot measure the floor of lateness: %w", *err)
	}
	return late, nil
}

// Writes counts the changes of keys since the server started.
func (r *Redis) Writes(ctx context.Context) (int64, error) {
	info, err := r.client.Info(ctx, "persistence").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "rdb_changes_since_last_save:"); ok {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("cannot count the writes: INFO does not tell")
}

// Close ends the server and removes its data.
func (r *Redis) Close() {
	_ = r.client.Close()
	if r.command.Process != nil {
		_ = r.command.Process.Kill() // its data is thrown away
		_ = r.command.Wait()
	}
	_ = os.RemoveAll(r.dir)
}

// FreeAddress finds an address of this machine that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Until asks until the answer is yes, for patience.
func Until(ctx context.Context, what string, ask func() bool) error {
	return within(ctx, patience, what, ask)
}

// within asks until the answer is yes, for a time.
func within(ctx context.Context, limit time.Duration, what string, ask func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited %s in vain until %s: %w", limit, what, ctx.Err())
		}
	}
	return nil
}
