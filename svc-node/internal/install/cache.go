package install

import (
	"crypto/sha256"
	"sync"

	"github.com/vow-os/vow/svc-node/profile"
)

// CacheEntries bounds the parsed profiles kept; a node has as many as releases times software types.
const CacheEntries = 256

// Cache keeps parsed profiles by the content of all their files, which are read and hashed each time: a profile
// that changed in place is noticed. It is safe for concurrent use.
type Cache struct {
	mutex   sync.Mutex
	entries map[string]cached
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

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{entries: map[string]cached{}} }

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
