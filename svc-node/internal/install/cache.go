package install

import (
	"bytes"
	"crypto/sha256"
	"sync"

	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

const (
	// CacheEntries bounds the parsed profiles kept; a node has as many as releases times software types.
	CacheEntries = 256
	// CacheRecordBytes bounds the parsed records kept, by their length on disk: fifty parts take 20 kB there, and twice that
	// in memory.
	CacheRecordBytes = 4 << 20
	// CacheBufferBytes bounds a buffer that is kept to read the next record into.
	CacheBufferBytes = 256 << 10
)

// Cache keeps what runs read again and again, parsed: profiles by the content of all their files and records by theirs, which
// are read and hashed each time, so that what changed in place is noticed; and the recipes. It is safe for concurrent use.
type Cache struct {
	recipes *recipe.Registry
	buffers sync.Pool // of *bytes.Buffer
	mutex   sync.Mutex
	entries map[string]cached
	records map[string]cachedRecord // by the partition's directory
	bytes   int                     // of records
}

type cached struct {
	doc  *profile.Document
	sum  [32]byte
	read []extended
}

// extended is one file a profile extends, and the content it was parsed with.
type extended struct {
	location, from string
	sum            [32]byte
}

type cachedRecord struct {
	record *record
	sum    [32]byte
	bytes  int
}

// NewCache makes an empty cache.
func NewCache() *Cache {
	return &Cache{recipes: recipe.Recipes(), entries: map[string]cached{}, records: map[string]cachedRecord{}}
}

// builtIn are the recipes.
func (c *Cache) builtIn() *recipe.Registry {
	if c == nil {
		return recipe.Recipes()
	}
	return c.recipes
}

// buffer is one to read a record into, which is hashed and forgotten as a rule.
func (c *Cache) buffer() *bytes.Buffer {
	if c != nil {
		if b, ok := c.buffers.Get().(*bytes.Buffer); ok {
			return b
		}
	}
	return new(bytes.Buffer)
}

func (c *Cache) release(b *bytes.Buffer) {
	if c != nil && b.Cap() <= CacheBufferBytes {
		b.Reset()
		c.buffers.Put(b)
	}
}

// parse parses a profile, or finds it parsed.
func (c *Cache) parse(name string, source []byte, load profile.Loader) (*profile.Document, error) {
	if c == nil {
		return profile.Parse(name, source, load)
	}
	sum := sha256.Sum256(source)
	c.mutex.Lock()
	known, ok := c.entries[name]
	c.mutex.Unlock()
	if ok && known.sum == sum && known.current(load) {
		return known.doc, nil
	}
	fresh := cached{sum: sum}
	doc, err := profile.Parse(name, source, func(location, from string) (string, []byte, error) {
		file, content, err := load(location, from)
		fresh.read = append(fresh.read, extended{location, from, sha256.Sum256(content)})
		return file, content, err
	})
	if err != nil {
		return nil, err
	}
	fresh.doc = doc
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.entries) >= CacheEntries {
		clear(c.entries) // parsing again costs milliseconds once; an order of use would cost at each run
	}
	c.entries[name] = fresh
	return doc, nil
}

func (k *cached) current(load profile.Loader) bool {
	for _, e := range k.read {
		_, content, err := load(e.location, e.from)
		if err != nil || sha256.Sum256(content) != e.sum {
			return false
		}
	}
	return true
}

// record parses the record of a partition, or finds it parsed.
func (c *Cache) record(dir string, content []byte) (*record, error) {
	if c == nil {
		return parseRecord(content)
	}
	sum := sha256.Sum256(content)
	c.mutex.Lock()
	known, ok := c.records[dir]
	c.mutex.Unlock()
	if ok && known.sum == sum {
		return known.record, nil
	}
	parsed, err := parseRecord(content)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.bytes += len(content) - c.records[dir].bytes
	c.records[dir] = cachedRecord{record: parsed, sum: sum, bytes: len(content)}
	for other, k := range c.records {
		if c.bytes <= CacheRecordBytes {
			break
		}
		delete(c.records, other)
		c.bytes -= k.bytes
	}
	return parsed, nil
}
