package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // for snapshot.lua
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed snapshot.lua
var snapshotSource string

const (
	// snapshotName is the file in Config.Dir.
	snapshotName = "store.snapshot"
	// snapshotMagic begins the file: its format and version.
	snapshotMagic = "vow store snapshot 1\n"
	// restoreBatch is how many commands one pipeline restores.
	restoreBatch = 500
)

// snapshot is everything the embedded store holds.
type snapshot struct {
	// RunID is kept by a clean stop, and replaced at the next start otherwise.
	RunID string
	Clean bool
	Keys  []keyValue
}

// keyValue is one key. Values is the flat list of its type: one string, field-value pairs, elements, members,
// member-score pairs.
type keyValue struct {
	Key, Type string
	// ExpiresAt is in Unix milliseconds, 0 for never.
	ExpiresAt int64
	Values    []string
	Entries   []streamEntry
	LastID    string
}

type streamEntry struct {
	ID     string
	Values []string
}

// walk reads the store, in a canonical order, so that equal contents give equal bytes.
func walk(ctx context.Context, client redis.UniversalClient, now time.Time) ([]keyValue, error) {
	raw, err := client.Eval(ctx, snapshotSource, nil).Slice()
	if err != nil {
		return nil, err
	}
	keys := make([]keyValue, 0, len(raw))
	for _, item := range raw {
		kv, err := decode(item, now)
		if err != nil {
			return nil, err
		}
		keys = append(keys, kv)
	}
	slices.SortFunc(keys, func(a, b keyValue) int { return cmp.Compare(a.Key, b.Key) })
	return keys, nil
}

func decode(item any, now time.Time) (keyValue, error) {
	fields, ok := item.([]any)
	if !ok || len(fields) != 5 {
		return keyValue{}, fmt.Errorf("unexpected answer %T", item)
	}
	kv := keyValue{Key: text(fields[0]), Type: text(fields[1]), LastID: text(fields[4])}
	if ttl, ok := fields[2].(int64); ok && ttl > 0 {
		kv.ExpiresAt = now.UnixMilli() + ttl
	}
	values, ok := fields[3].([]any)
	if !ok {
		return keyValue{}, fmt.Errorf("key %q has a value of %T", kv.Key, fields[3])
	}
	switch kv.Type {
	case "stream":
		for _, v := range values {
			entry, ok := v.([]any)
			if !ok || len(entry) != 2 {
				return keyValue{}, fmt.Errorf("key %q has an entry of %T", kv.Key, v)
			}
			kv.Entries = append(kv.Entries, streamEntry{ID: text(entry[0]), Values: texts(entry[1])})
		}
	case "string", "list":
		kv.Values = texts(values)
	case "set":
		kv.Values = texts(values)
		slices.Sort(kv.Values)
	case "hash", "zset":
		kv.Values = sortPairs(texts(values))
	default:
		return keyValue{}, fmt.Errorf("key %q is of type %q, which a snapshot does not hold", kv.Key, kv.Type)
	}
	return kv, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = text(e)
	}
	return out
}

func sortPairs(flat []string) []string {
	pairs := make([][2]string, 0, len(flat)/2)
	for pair := range slices.Chunk(flat, 2) {
		if len(pair) == 2 {
			pairs = append(pairs, [2]string{pair[0], pair[1]})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	flat = flat[:0]
	for _, p := range pairs {
		flat = append(flat, p[0], p[1])
	}
	return flat
}

// restore writes a snapshot into an empty store. What expired while nothing ran stays away.
func restore(ctx context.Context, client redis.UniversalClient, keys []keyValue, now time.Time) error {
	p := client.Pipeline()
	flush := func() error {
		_, err := p.Exec(ctx)
		p = client.Pipeline()
		return err
	}
	for _, kv := range keys {
		if kv.ExpiresAt != 0 && kv.ExpiresAt <= now.UnixMilli() {
			continue
		}
		if err := restoreKey(ctx, p, kv); err != nil {
			return err
		}
		if p.Len() >= restoreBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func restoreKey(ctx context.Context, p redis.Pipeliner, kv keyValue) error {
	args := make([]any, 0, len(kv.Values)+2)
	for _, v := range kv.Values {
		args = append(args, v)
	}
	switch kv.Type {
	case "string":
		if len(kv.Values) != 1 {
			return fmt.Errorf("key %q has %d values", kv.Key, len(kv.Values))
		}
		p.Set(ctx, kv.Key, kv.Values[0], 0)
	case "hash":
		p.HSet(ctx, kv.Key, args...)
	case "list":
		p.RPush(ctx, kv.Key, args...)
	case "set":
		p.SAdd(ctx, kv.Key, args...)
	case "zset":
		command := []any{"ZADD", kv.Key}
		for pair := range slices.Chunk(args, 2) {
			command = append(command, pair[1], pair[0])
		}
		p.Do(ctx, command...)
	case "stream":
		restoreStream(ctx, p, kv)
	default:
		return fmt.Errorf("key %q is of unknown type %q", kv.Key, kv.Type)
	}
	if kv.ExpiresAt != 0 {
		p.PExpireAt(ctx, kv.Key, time.UnixMilli(kv.ExpiresAt))
	}
	return nil
}

// restoreStream brings the last id back too, by an entry that is deleted again: a follower that has read everything
// must not see new entries at ids it has passed.
func restoreStream(ctx context.Context, p redis.Pipeliner, kv keyValue) {
	for _, e := range kv.Entries {
		p.XAdd(ctx, &redis.XAddArgs{Stream: kv.Key, ID: e.ID, Values: e.Values})
	}
	last := ""
	if n := len(kv.Entries); n > 0 {
		last = kv.Entries[n-1].ID
	}
	if kv.LastID != "" && kv.LastID != last && kv.LastID != "0-0" {
		p.XAdd(ctx, &redis.XAddArgs{Stream: kv.Key, ID: kv.LastID, Values: []string{"", ""}})
		p.XDel(ctx, kv.Key, kv.LastID)
	}
}

// encode is the bytes of a snapshot file: magic, SHA-256 of the rest, the rest.
func (s snapshot) encode() ([]byte, error) {
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(s); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body.Bytes())
	out := make([]byte, 0, len(snapshotMagic)+len(sum)+body.Len())
	out = append(out, snapshotMagic...)
	out = append(out, sum[:]...)
	return append(out, body.Bytes()...), nil
}

func decodeSnapshot(b []byte) (snapshot, error) {
	rest, ok := bytes.CutPrefix(b, []byte(snapshotMagic))
	if !ok {
		return snapshot{}, errors.New("it does not begin as a snapshot does")
	}
	if len(rest) < sha256.Size {
		return snapshot{}, errors.New("it is cut short")
	}
	if sum := sha256.Sum256(rest[sha256.Size:]); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return snapshot{}, errors.New("its checksum is wrong")
	}
	var s snapshot
	if err := gob.NewDecoder(bytes.NewReader(rest[sha256.Size:])).Decode(&s); err != nil {
		return snapshot{}, err
	}
	return s, nil
}

// loadSnapshot reads the file of dir; fs.ErrNotExist is no error and no snapshot.
func loadSnapshot(dir string) (s snapshot, found bool, err error) {
	path := filepath.Join(dir, snapshotName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return snapshot{}, false, nil
	}
	if err != nil {
		return snapshot{}, false, fmt.Errorf("cannot read the snapshot of the embedded store: %w", err)
	}
	s, err = decodeSnapshot(b)
	if err != nil {
		return snapshot{}, false, fmt.Errorf("cannot use the snapshot %s of the embedded store: %w; "+
			"the file is kept: restore it from a backup, or move it away to begin with an empty store", path, err)
	}
	return s, true, nil
}

// saveSnapshot replaces the file of dir as a whole: a crash leaves the old one or the new one.
func saveSnapshot(dir string, s snapshot) error {
	b, err := s.encode()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, snapshotName)
	temporary := path + ".tmp"
	if err := writeSynced(temporary, b); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDirectory(dir)
}

// syncDirectory makes a new name survive a crash of the machine.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}
