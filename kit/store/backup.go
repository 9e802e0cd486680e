package store

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// backupMagic begins a backup: its format and version. What follows is gzip of a gob stream of keyValue, the last of type endOfBackup.
	backupMagic = "vow store backup 1\n"
	// endOfBackup is the type of the last record: what is cut short lacks it. Its Values are how many there were.
	endOfBackup = "end"
	// backupPasses bounds how often keys that came while others were read are looked for.
	backupPasses = 5
	// scanCount is how many keys one step of SCAN looks at.
	scanCount = 1000
)

// ErrNotEmpty is what Restore answers when the store holds something.
var ErrNotEmpty = errors.New("it is not empty")

var readScript = NewScript("read", snapshotSource)

// Backup writes every key of the store to a file, which appears whole or not at all, and returns how many. The store is in use meanwhile: keys of one hash tag,
// which scripts change together, are read in one atomic step as long as they are at most MaxScriptKeys; those of different tags at different moments, as
// their writers wrote them. progress is told how many keys were read; nil = nobody.
func (s *Store) Backup(ctx context.Context, path string, progress func(keys int)) (keys int, err error) {
	temporary := path + ".tmp"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("cannot write the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	keys, err = s.writeBackup(ctx, f, progress)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("cannot back the store %s up: %w", s.name, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return 0, fmt.Errorf("cannot write the backup: %w", err)
	}
	return keys, syncDirectory(filepath.Dir(path))
}

func (s *Store) writeBackup(ctx context.Context, out io.Writer, progress func(int)) (int, error) {
	buffered := bufio.NewWriter(out)
	if _, err := buffered.WriteString(backupMagic); err != nil {
		return 0, err
	}
	packed := gzip.NewWriter(buffered)
	encoder := gob.NewEncoder(packed)
	written := 0
	seen := map[string]bool{}
	for pass := range backupPasses {
		groups, err := s.groups(ctx, seen, pass > 0)
		if err != nil {
			return 0, err
		}
		for _, group := range groups {
			read, err := s.readKeys(ctx, group)
			if err != nil {
				return 0, err
			}
			for i := range read {
				if err := encoder.Encode(&read[i]); err != nil {
					return 0, err
				}
			}
			written += len(read)
			if progress != nil {
				progress(len(seen))
			}
		}
		if len(groups) == 0 {
			break
		}
	}
	end := keyValue{Type: endOfBackup, Values: []string{fmt.Sprint(written)}}
	return len(seen), errors.Join(encoder.Encode(end), packed.Close(), buffered.Flush())
}

// groups are the keys that have to be read, by hash tag, at most MaxScriptKeys each. In a later pass they are those of tags in which there are new ones.
func (s *Store) groups(ctx context.Context, seen map[string]bool, later bool) ([][]string, error) {
	byTag := map[string][]string{}
	fresh := map[string]bool{}
	var mu sync.Mutex
	err := s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		scan := node.Scan(ctx, 0, "*", scanCount).Iterator()
		for scan.Next(ctx) {
			key := scan.Val()
			tag := tagOf(key)
			mu.Lock()
			byTag[tag] = append(byTag[tag], key)
			fresh[tag] = fresh[tag] || !seen[key]
			mu.Unlock()
		}
		return scan.Err()
	})
	if err != nil {
		return nil, err
	}
	var groups [][]string
	for tag, keys := range byTag {
		if later && !fresh[tag] {
			continue
		}
		slices.Sort(keys) // SCAN may tell a key twice
		for chunk := range slices.Chunk(slices.Compact(keys), MaxScriptKeys) {
			groups = append(groups, chunk)
			for _, key := range chunk {
				seen[key] = true
			}
		}
	}
	slices.SortFunc(groups, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return groups, nil
}

// tagOf is what Redis hashes of a key: what is between the first braces, or all of it.
func tagOf(key string) string {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return tag
		}
	}
	return key
}

// readKeys reads keys of one slot in one atomic step; those that are gone are left out.
func (s *Store) readKeys(ctx context.Context, keys []string) ([]keyValue, error) {
	raw, err := s.Run(ctx, readScript, keys).Slice()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	read := make([]keyValue, 0, len(raw))
	for _, item := range raw {
		if fields, ok := item.([]any); ok && len(fields) == 5 && text(fields[1]) == "none" {
			continue
		}
		kv, err := decode(item, now)
		if err != nil {
			return nil, err
		}
		if kv.Key == versionsKey {
			kv.Values = withoutField(withoutField(kv.Values, restoringField), lifeField)
		}
		read = append(read, kv)
	}
	return read, nil
}

func withoutField(flat []string, field string) []string {
	for i := 0; i+1 < len(flat); i += 2 {
		if flat[i] == field {
			return slices.Delete(flat, i, i+2)
		}
	}
	return flat
}

// Restore writes a backup into an empty store, and returns how many keys. The file is read to its end before anything is written. A restore that is cut short
// leaves a store that no service uses. Its server is another life from then on, so that svc-master moves the epochs (docs/rules.md, what must never happen).
// Errors: ErrNotEmpty.
func (s *Store) Restore(ctx context.Context, path string, progress func(keys int)) (int, error) {
	if err := eachRecord(path, func(*keyValue) error { return nil }); err != nil {
		return 0, fmt.Errorf("cannot restore %s: %w", path, err)
	}
	if err := s.empty(ctx); err != nil {
		return 0, fmt.Errorf("cannot restore %s into the store %s: %w", path, s.name, err)
	}
	if err := s.client.HSet(ctx, versionsKey, restoringField, filepath.Base(path)).Err(); err != nil {
		return 0, fmt.Errorf("cannot restore into the store %s: %w", s.name, err)
	}
	seen := map[string]bool{}
	batch := make([]keyValue, 0, restoreBatch)
	flush := func() error {
		err := restore(ctx, s.client, batch, time.Now())
		batch = batch[:0]
		if progress != nil {
			progress(len(seen))
		}
		return err
	}
	err := eachRecord(path, func(kv *keyValue) error {
		if seen[kv.Key] && kv.Key != versionsKey { // read again, since its tag had a new key meanwhile: the later one holds
			if err := errors.Join(flush(), s.client.Del(ctx, kv.Key).Err()); err != nil {
				return err
			}
		}
		seen[kv.Key] = true
		if batch = append(batch, *kv); len(batch) < restoreBatch {
			return nil
		}
		return flush()
	})
	if err = errors.Join(err, flush()); err != nil {
		return 0, fmt.Errorf("cannot restore all of %s into the store %s, which no service uses until it is emptied: %w", path, s.name, err)
	}
	if err := s.client.HSet(ctx, versionsKey, lifeField, newRunID()).Err(); err != nil {
		return 0, fmt.Errorf("cannot end the restore of %s: %w", path, err)
	}
	if err := s.client.HDel(ctx, versionsKey, restoringField).Err(); err != nil {
		return 0, fmt.Errorf("cannot end the restore of %s: %w", path, err)
	}
	return len(seen), nil
}

// empty tells that nothing is in the store.
func (s *Store) empty(ctx context.Context) error {
	return s.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		n, err := node.DBSize(ctx).Result()
		if err == nil && n > 0 {
			return fmt.Errorf("%w: it holds %d keys; restore into another server or database, or empty it first", ErrNotEmpty, n)
		}
		return err
	})
}

// eachRecord reads a backup to its end.
func eachRecord(path string, do func(*keyValue) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	in := bufio.NewReader(f)
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != backupMagic {
		return errors.New("it does not begin as a backup does")
	}
	packed, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	decoder := gob.NewDecoder(packed)
	for n := 0; ; n++ {
		var kv keyValue
		if err := decoder.Decode(&kv); err != nil {
			return fmt.Errorf("it is damaged or cut short after %d keys: %w", n, err)
		}
		if kv.Type == endOfBackup {
			if len(kv.Values) != 1 || kv.Values[0] != fmt.Sprint(n) {
				return fmt.Errorf("it is damaged: it has %d keys, and says %v", n, kv.Values)
			}
			if _, err := io.Copy(io.Discard, packed); err != nil { // the checksum comes last
				return fmt.Errorf("it is damaged: %w", err)
			}
			return nil
		}
		if err := do(&kv); err != nil {
			return err
		}
	}
}
