package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// policyNoEviction is the only maxmemory-policy that never deletes state.
const policyNoEviction = "noeviction"

// Durability says what survives kill -9 of the store.
type Durability struct {
	// Durable is true when every acknowledged write does.
	Durable bool
	// Words say it to people.
	Words string
	// AppendOnly and AppendFsync are Redis's own settings; "unknown" where the server does not tell.
	AppendOnly, AppendFsync string
}

// Durability asks the server, or all masters of a Cluster, where the least durable one counts.
func (s *Store) Durability(ctx context.Context) (Durability, error) {
	if s.embedded != nil {
		return s.embedded.durability(), nil
	}
	var mu sync.Mutex
	var worst *Durability
	err := s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		d := Durability{AppendOnly: configOf(ctx, node, "appendonly"), AppendFsync: configOf(ctx, node, "appendfsync")}
		d.Durable, d.Words = describe(d.AppendOnly, d.AppendFsync)
		mu.Lock()
		defer mu.Unlock()
		if worst == nil || !d.Durable {
			worst = &d
		}
		return ctx.Err()
	})
	if err != nil || worst == nil {
		return Durability{}, fmt.Errorf("cannot ask the store %s how durable it is: %w", s.name, err)
	}
	return *worst, nil
}

func describe(appendOnly, fsync string) (durable bool, words string) {
	switch {
	case appendOnly == "yes" && fsync == "always":
		return true, "every acknowledged write survives a crash (appendonly yes, appendfsync always)"
	case appendOnly == "yes" && fsync == "everysec":
		return false, "a crash may lose the last second (appendonly yes, appendfsync everysec)"
	case appendOnly == "yes":
		return false, "a crash of the machine may lose the last 30 seconds (appendonly yes, appendfsync " + fsync + ")"
	case appendOnly == "no":
		return false, "a crash loses everything since the last RDB snapshot (appendonly no)"
	}
	return false, "unknown: the server does not tell its configuration"
}

// configOf is empty-handed where CONFIG is forbidden, as managed services do.
func configOf(ctx context.Context, node redis.Cmdable, name string) string {
	values, err := node.ConfigGet(ctx, name).Result()
	if err != nil || values[name] == "" {
		return "unknown"
	}
	return values[name]
}

// checkPolicy refuses a server that may evict state; INFO tells even where CONFIG is forbidden.
func (s *Store) checkPolicy(ctx context.Context) error {
	if s.embedded != nil {
		return nil
	}
	return s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		policy, err := infoOf(ctx, node, "memory", "maxmemory_policy")
		if err != nil {
			return fmt.Errorf("cannot learn the maxmemory-policy of the store %s: %w", s.name, err)
		}
		if policy != policyNoEviction {
			return fmt.Errorf("cannot use the store %s: its maxmemory-policy is %s, which deletes state when memory is short; "+
				"set it to %s (redis-cli config set maxmemory-policy %s)", s.name, policy, policyNoEviction, policyNoEviction)
		}
		return nil
	})
}

// RunID identifies one life of the server that holds key: it differs after a restart, a fail-over or a Restore, and, of the
// embedded store, after an unclean end. svc-master compares it to move the epochs.
func (s *Store) RunID(ctx context.Context, key string) (string, error) {
	id, err := s.serverID(ctx, key)
	if err != nil {
		return "", err
	}
	life, err := s.client.HGet(ctx, versionsKey, lifeField).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("cannot learn whether the store %s was restored: %w", s.name, err)
	}
	s.life.Store(&life)
	return lifeID(id, life), nil
}

func lifeID(server, life string) string { return strings.TrimSuffix(server+"/"+life, "/") }

// RunIDOver is the RunID of the server behind a connection, for OnConnect, after RunID was called once. A Restore since then is not seen by it: no service runs meanwhile.
func (s *Store) RunIDOver(ctx context.Context, conn *redis.Conn) (string, error) {
	id, err := infoOf(ctx, conn, "server", "run_id")
	if err != nil {
		return "", fmt.Errorf("cannot learn the run id of the store %s: %w", s.name, err)
	}
	life := s.life.Load()
	if life == nil {
		return "", fmt.Errorf("cannot tell which life of the store %s this is: RunID was not asked", s.name)
	}
	return lifeID(id, *life), nil
}

func (s *Store) serverID(ctx context.Context, key string) (string, error) {
	if s.embedded != nil {
		return s.embedded.runID, nil
	}
	var node redis.Cmdable = s.client
	if c, ok := s.client.(*redis.ClusterClient); ok {
		master, err := c.MasterForKey(ctx, key)
		if err != nil {
			return "", fmt.Errorf("cannot find the server of %q: %w", key, err)
		}
		node = master
	}
	id, err := infoOf(ctx, node, "server", "run_id")
	if err != nil {
		return "", fmt.Errorf("cannot learn the run id of the store %s: %w", s.name, err)
	}
	return id, nil
}

func (s *Store) eachMaster(ctx context.Context, ask func(context.Context, redis.Cmdable) error) error {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return ask(ctx, node) })
	}
	return ask(ctx, s.client)
}

func infoOf(ctx context.Context, node redis.Cmdable, section, field string) (string, error) {
	info, err := node.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && name == field {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("INFO %s has no %s", section, field)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// SlotTag is what decides the slot of a key: what is between the first braces, or all of it.
func SlotTag(key string) string {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return tag
		}
	}
	return key
}

// oneSlot names two keys of different slots, if there are.
func oneSlot(keys []string) error {
	if len(keys) == 0 {
		return errors.New("no keys: the first one decides the server")
	}
	tag := SlotTag(keys[0])
	if i := slices.IndexFunc(keys, func(k string) bool { return SlotTag(k) != tag }); i >= 0 {
		return fmt.Errorf("keys %q and %q are in different slots", keys[0], keys[i])
	}
	return nil
}
