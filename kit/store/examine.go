package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/examine"
)

const (
	// oldestRedis is the oldest release that the tests run with (Debian 12).
	oldestRedis = 7
	// slowStore is what a store on the same network answers in many times over; each change waits for it.
	slowStore = 50 * time.Millisecond
	// stalled is a time in which Redis answered nobody that is worth a word: every order and report of that time was as late.
	stalled = 100 * time.Millisecond
	// lately is how far back a stall is of interest.
	lately = time.Hour
)

// Examine looks at the store: whether and how fast it answers, what it is, and what a crash or a full memory of it costs. It ends with ctx.
func (s *Store) Examine(ctx context.Context) []examine.Check {
	began := time.Now()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return []examine.Check{examine.Bad(examine.Fail, "store: answers", "start Redis, or mend the way to it; services go on by themselves when it answers", "%s does not answer: %v", s.name, err)}
	}
	took := time.Since(began).Round(100 * time.Microsecond)
	checks := []examine.Check{examine.Well("store: answers", "%s after %s", s.name, took)}
	if took > slowStore {
		checks[0] = examine.Bad(examine.Warn, "store: answers", "bring it nearer, or look at its load (redis-cli --latency, slowlog get)", "%s after %s", s.name, took)
	}
	checks = append(checks, s.examineDurability(ctx))
	if s.embedded != nil {
		return checks
	}
	if err := s.checkPolicy(ctx); err != nil {
		checks = append(checks, examine.Bad(examine.Fail, "store: maxmemory-policy", "redis-cli config set maxmemory-policy "+policyNoEviction+", and in its configuration file", "%v", err))
	} else {
		checks = append(checks, examine.Well("store: maxmemory-policy", policyNoEviction))
	}
	return append(checks, s.examineVersion(ctx), s.examineMemory(ctx), s.examineStalls(ctx))
}

func (s *Store) examineDurability(ctx context.Context) examine.Check {
	const name = "store: durability"
	d, err := s.Durability(ctx)
	switch {
	case err != nil:
		return examine.Bad(examine.Warn, name, "look at its configuration by hand", "%v", err)
	case d.Durable:
		return examine.Well(name, "%s", d.Words)
	default:
		return examine.Bad(examine.Warn, name, "set appendonly yes and appendfsync always, if acknowledged bangs must survive a crash of the store", "%s", d.Words)
	}
}

// examineVersion finds the oldest server.
func (s *Store) examineVersion(ctx context.Context) examine.Check {
	const name = "store: version"
	oldest, err := s.lowest(ctx, "server", "redis_version", func(a, b string) bool { return major(a) < major(b) })
	switch {
	case err != nil:
		return examine.Bad(examine.Warn, name, "look at INFO server by hand", "%v", err)
	case major(oldest) < oldestRedis:
		return examine.Bad(examine.Warn, name, fmt.Sprintf("use Redis %d or later, which is what vow is tested with", oldestRedis), "Redis %s", oldest)
	default:
		return examine.Well(name, "Redis %s", oldest)
	}
}

func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(first) // what is no number is older than any
	return n
}

// examineMemory finds how near a server is to refusing writes.
func (s *Store) examineMemory(ctx context.Context) examine.Check {
	const name = "store: memory"
	check := examine.Well(name, "no limit is set")
	err := s.eachInfo(ctx, "memory", func(info map[string]string) {
		used, _ := strconv.ParseFloat(info["used_memory"], 64)
		limit, _ := strconv.ParseFloat(info["maxmemory"], 64) // 0 = no limit
		if limit == 0 || check.Level != examine.OK {
			return
		}
		check = examine.Well(name, "%.0f %% of its maxmemory is used", 100*used/limit)
		if used > 0.9*limit {
			check = examine.Bad(examine.Fail, name, "raise maxmemory: at 100 % every change is refused", "%.0f %% of its maxmemory is used", 100*used/limit)
		}
	})
	if err != nil {
		return examine.Bad(examine.Warn, name, "look at INFO memory by hand", "%v", err)
	}
	return check
}

// examineStalls reads what the servers' latency monitors noticed: a slow fsync, a fork, a slow command. While one of them lasts nobody is answered.
func (s *Store) examineStalls(ctx context.Context) examine.Check {
	const name = "store: stalls"
	var mu sync.Mutex
	watched, found, longest := true, "", time.Duration(0)
	err := s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		threshold, err := strconv.Atoi(configOf(ctx, node, "latency-monitor-threshold"))
		if err != nil {
			return nil // CONFIG is forbidden, as managed services do; so is LATENCY then
		}
		now, err := node.Time(ctx).Result()
		if err != nil {
			return fmt.Errorf("cannot read the clock of the store %s: %w", s.name, err)
		}
		events, err := latencies(ctx, node)
		if err != nil {
			return fmt.Errorf("cannot read LATENCY of the store %s: %w", s.name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		watched = watched && threshold > 0
		for _, e := range events {
			if e.longest >= stalled && now.Sub(e.latest) < lately && e.longest > longest {
				found, longest = fmt.Sprintf("it answered nobody for %s (%s), the latest of them at %s", e.longest, e.name, e.latest.UTC().Format(time.TimeOnly)), e.longest
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return examine.Bad(examine.Warn, name, "look at LATENCY LATEST by hand", "%v", err)
	case found != "":
		return examine.Bad(examine.Warn, name, "keep other writers off its disk (aof-…), and its memory small enough to fork; redis-cli latency doctor says more", "%s", found)
	case !watched:
		return examine.Well(name, "not recorded: redis-cli config set latency-monitor-threshold %d makes Redis remember them", stalled.Milliseconds())
	default:
		return examine.Well(name, "none of %s within an hour", stalled)
	}
}

// latency is an event of a server's latency monitor.
type latency struct {
	name    string
	latest  time.Time
	longest time.Duration
}

func latencies(ctx context.Context, node redis.Cmdable) ([]latency, error) {
	answer, err := node.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "LATENCY", "LATEST")
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, _ := answer[0].(*redis.Cmd).Slice()
	var events []latency
	for _, row := range rows { // name, second of the latest, its ms, ms of the longest
		fields, _ := row.([]any)
		if len(fields) < 4 {
			continue
		}
		name, _ := fields[0].(string)
		second, _ := fields[1].(int64)
		ms, _ := fields[3].(int64)
		events = append(events, latency{name, time.Unix(second, 0), time.Duration(ms) * time.Millisecond})
	}
	return events, nil
}

// lowest value of a field over all masters.
func (s *Store) lowest(ctx context.Context, section, field string, less func(a, b string) bool) (string, error) {
	found := ""
	err := s.eachInfo(ctx, section, func(info map[string]string) {
		if value := info[field]; found == "" || less(value, found) {
			found = value
		}
	})
	return found, err
}

// eachInfo reads a section of INFO of every master, one after the other.
func (s *Store) eachInfo(ctx context.Context, section string, read func(map[string]string)) error {
	turn := make(chan struct{}, 1) // ForEachMaster asks them at once
	return s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		text, err := node.Info(ctx, section).Result()
		if err != nil {
			return fmt.Errorf("cannot read INFO %s of the store %s: %w", section, s.name, err)
		}
		info := map[string]string{}
		for line := range strings.SplitSeq(text, "\n") {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[name] = value
			}
		}
		turn <- struct{}{}
		defer func() { <-turn }()
		read(info)
		return nil
	})
}
