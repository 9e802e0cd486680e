package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/vow-os/vow/kit/memnet"
)

// embedded is a Redis in this process, reachable from nowhere else.
type embedded struct {
	dir   string
	log   *slog.Logger
	redis *miniredis.Miniredis
	lock  *os.File

	runID string
	clean bool // the last end was

	dialling sync.Mutex // orders connections with the end: a pool still dials in a goroutine of its own when its client is closed
	closed   bool

	saver    redis.UniversalClient
	pending  atomic.Int32 // walks to do
	stopping atomic.Bool
	saved    [sha256.Size]byte // of the keys in the file
	ticked   time.Time         // up to when times to live have passed
	cancel   context.CancelFunc
	done     chan struct{}
}

// walkShare bounds the part of the time that walks keep the store from answering, to 1/5: reading 1,000 keys takes some
// 30 ms, so that a store of more than 6,000 keys is saved less often than every second.
const walkShare = 5

// saveTimeout bounds one walk.
const saveTimeout = time.Minute

// walksPerChange: a command announces itself before it runs, so that a walk in between misses it; the next does not.
const walksPerChange = 2

func openEmbedded(ctx context.Context, dir string, s Settings) (_ *embedded, err error) {
	e := &embedded{dir: dir, log: s.Log, runID: newRunID(), clean: true, done: make(chan struct{})}
	var found snapshot
	if dir != "" {
		if err := e.acquire(); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				_ = e.lock.Close()
			}
		}()
		var exists bool
		if found, exists, err = loadSnapshot(dir); err != nil {
			return nil, err
		}
		if exists {
			if e.clean = found.Clean; e.clean {
				e.runID = found.RunID
			}
		}
	}

	e.redis = miniredis.NewMiniRedis()
	e.ticked = time.Now()
	// The first Dial makes it a server without a listener; its bare pipe is not used.
	first, err := e.redis.Dial()
	if err != nil {
		return nil, fmt.Errorf("cannot start the embedded store: %w", err)
	}
	_ = first.Close()
	saver := e.options(Settings{PoolSize: 1})
	saver.Dialer, saver.ReadTimeout = e.dial, saveTimeout
	e.saver = redis.NewUniversalClient(saver)
	if err := restore(ctx, e.saver, found.Keys, e.ticked); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot restore the snapshot of the embedded store: %w", err), e.saver.Close())
	}
	if dir != "" {
		// From here on the end is unclean until stop says otherwise.
		if err := e.save(ctx, false, true); err != nil {
			return nil, errors.Join(err, e.saver.Close())
		}
	}
	e.redis.Server().SetPreHook(e.announce)

	loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	go e.saveLoop(loop, s.SaveInterval)
	return e, nil
}

// acquire makes sure that no other process has the directory.
func (e *embedded) acquire() error {
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return fmt.Errorf("cannot use --store-dir=%q: %w", e.dir, err)
	}
	f, err := os.OpenFile(filepath.Join(e.dir, "store.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot use --store-dir=%q: %w", e.dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return fmt.Errorf("cannot use --store-dir=%q: another process uses it: %w", e.dir, err)
	}
	e.lock = f
	return nil
}

// options connect to this store, until it stops: what is written after the last snapshot would be lost.
func (e *embedded) options(s Settings) *redis.UniversalOptions {
	o := harden(&redis.UniversalOptions{Addrs: []string{"embedded:0"}}, s)
	o.ConnMaxIdleTime = -1 // nothing between us closes idle connections, and a new one makes callers ask whose it is
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		if e.stopping.Load() {
			return nil, net.ErrClosed
		}
		return e.dial(ctx, network, address)
	}
	return o
}

// dial makes a buffered connection: on bare pipes, pipelines of more than ten commands deadlock.
func (e *embedded) dial(context.Context, string, string) (net.Conn, error) {
	e.dialling.Lock()
	defer e.dialling.Unlock()
	if e.closed {
		return nil, net.ErrClosed
	}
	client, peer := memnet.Pipe()
	e.redis.Server().ServeConn(peer)
	return client, nil
}

// announce is called before every command.
func (e *embedded) announce(_ *server.Peer, command string, args ...string) bool {
	switch command {
	case "PING", "HELLO", "CLIENT", "INFO", "TIME", "SCRIPT", "XREAD", "XINFO":
		return false
	case "EVAL":
		if len(args) > 0 && args[0] == snapshotSource {
			return false
		}
	}
	if !e.redis.IsReadOnlyCommand(command) {
		e.pending.Store(walksPerChange)
	}
	return false
}

// tick lets times to live pass. miniredis can do so by itself, before every command, but sorts all keys to do it: with
// 2,000 keys a command takes a millisecond.
func (e *embedded) tick() {
	now := time.Now()
	if passed := now.Sub(e.ticked); passed > 0 {
		e.redis.FastForward(passed)
	}
	e.ticked = now
}

func (e *embedded) saveLoop(ctx context.Context, interval time.Duration) {
	defer close(e.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		e.tick()
		left := e.pending.Load()
		if left == 0 || e.dir == "" {
			continue
		}
		e.pending.CompareAndSwap(left, left-1)
		began := time.Now()
		if err := e.save(ctx, false, false); err != nil && ctx.Err() == nil {
			e.pending.Store(walksPerChange)
			e.log.ErrorContext(ctx, "cannot save the embedded store: a crash would lose what changed", "error", err)
		}
		ticker.Reset(max(interval, walkShare*time.Since(began)))
	}
}

// save writes what is in the store; without force only if it differs from the file.
func (e *embedded) save(ctx context.Context, clean, force bool) error {
	e.tick()
	keys, err := walk(ctx, e.saver, e.ticked)
	if err != nil {
		return fmt.Errorf("cannot read the embedded store: %w", err)
	}
	sum := sha256.New()
	if err := gob.NewEncoder(sum).Encode(keys); err != nil {
		return err
	}
	var digest [sha256.Size]byte
	sum.Sum(digest[:0])
	if !force && digest == e.saved {
		return nil
	}
	if err := saveSnapshot(e.dir, snapshot{RunID: e.runID, Clean: clean, Keys: keys}); err != nil {
		return fmt.Errorf("cannot write the snapshot of the embedded store: %w", err)
	}
	e.saved = digest
	return nil
}

// stop saves what is left, marks the end as clean and ends the server.
func (e *embedded) stop(ctx context.Context) error {
	e.stopping.Store(true)
	e.cancel()
	<-e.done
	var err error
	if e.dir != "" {
		err = e.save(ctx, true, true)
	}
	err = errors.Join(err, e.saver.Close())
	e.dialling.Lock()
	e.closed = true
	e.dialling.Unlock()
	e.redis.Close()
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
	}
	return err
}

func (e *embedded) durability() Durability {
	d := Durability{AppendOnly: "no", AppendFsync: "no"}
	if e.dir == "" {
		d.Words = "nothing survives the process (embedded store without a directory)"
	} else {
		d.Words = "a crash may lose the last second (embedded store with snapshots)"
	}
	return d
}

func newRunID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return hex.EncodeToString(b[:])
}
